//! Programs that read a tag, and whether they take `tag@digest` there.

/// Who reads the tag of a [`Site`](super::Site), and so what can be written there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reader {
    /// A whole reference: pod specs, Compose, Argo CD's `kustomize.images`.
    #[default]
    Reference,
    /// Text that is put behind a name and a colon: Helm's values and parameters, by the templates of charts, and
    /// kustomize's `newTag`, by
    /// [its updater](https://github.com/kubernetes-sigs/kustomize/blob/master/api/filters/imagetag/updater.go).
    Joined,
    /// Flux's `OCIRepository`: `ref.tag` goes to the registry as it stands, and `ref.digest` has a key of its own, which counts more
    /// (<https://fluxcd.io/flux/components/source/ocirepositories/#reference>).
    OciSource,
    /// `appVersion` of a `Chart.yaml`, which charts write into labels: `:` and `@` are none of theirs, nor more than 63 characters
    /// (<https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set>).
    Chart,
    /// The digest has a key of its own, which is empty, and nothing says how it is to be written there.
    OwnKey,
}

impl Reader {
    /// True if a digest can stand behind the tag, in the same scalar.
    #[must_use]
    pub const fn takes_pinned_tag(self) -> bool {
        !matches!(self, Self::OciSource | Self::Chart | Self::OwnKey)
    }
}
