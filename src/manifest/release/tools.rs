//! Values of releases that other programs make: Argo CD, Rancher Fleet, kustomize's `helmCharts`
//! (<https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/helmcharts/>), k3s
//! (<https://docs.k3s.io/add-ons/helm>), and helmfile (<https://helmfile.readthedocs.io/en/latest/#configuration>). A source of Flux's is
//! read as one as well: a patch of its `ref` has no `url`.

use super::document::{ReleaseDocument, Single, dotted};
use super::flux::{ConfigKey, VALUES, is_helmfile};
use super::{Rank, ReleaseName, ReleaseObject, Releases, Root, Values, Wanted};
use crate::manifest::argocd::SETS;
use crate::manifest::is_kustomization;
use crate::policy::{beside, directory, resolved};
use crate::yaml::NodeId;

/// The group of Argo CD's objects.
pub(in crate::manifest) const ARGO: &str = "argoproj.io/";

/// The kind of k3s' releases, and of what is laid over them.
pub(in crate::manifest) const HELM_CHART: &str = "HelmChart";

/// The kind of Flux's sources that are images.
pub(in crate::manifest) const OCI_REPOSITORY: &str = "OCIRepository";

impl Releases {
    /// Learns from a document of any other program than Flux.
    pub(super) fn of_tool(
        &mut self,
        document: &ReleaseDocument<'_>,
        object: Option<&ReleaseObject>,
    ) {
        let name = document.path.rsplit('/').next().unwrap_or(document.path);
        let version = document.text_at(&["apiVersion"]).unwrap_or_default();
        if version.starts_with(ARGO) {
            self.of_argo(document);
        } else if name.starts_with(".argocd-source") {
            self.of_source(document, Vec::new(), Some(directory(document.path).to_owned()));
        } else if matches!(name, "fleet.yaml" | "fleet.yml") {
            self.of_fleet(document);
        } else if is_kustomization(document.path) {
            self.of_charts(document);
        } else if object.is_some_and(|object| object.is("HelmChartInflationGenerator")) {
            self.of_chart(document, document.root, &[], "generator");
        } else if is_helmfile(document.path) {
            self.of_helmfile(document);
        }
        if let Some(object) = object.filter(|object| object.is(OCI_REPOSITORY)) {
            self.of_oci(document, object);
        }
        let is_k3s =
            |object: &&ReleaseObject| object.is(HELM_CHART) || object.is("HelmChartConfig");
        if let Some(object) = object.filter(is_k3s) {
            self.of_k3s(document, object);
        }
    }

    /// The sources of an `Application`, or of an `ApplicationSet`.
    fn of_argo(&mut self, document: &ReleaseDocument<'_>) {
        for spec in [&["spec"][..], &["spec", "template", "spec"]] {
            let one = [spec, &["source"]].concat();
            let all = [spec, &["sources"]].concat();
            let count = document.items(&all).len();
            let several = (0..count).map(|index| {
                let keys = all.iter().map(|key| (*key).to_owned());
                keys.chain([index.to_string()]).collect::<Vec<_>>()
            });
            let single = one.iter().map(|key| (*key).to_owned()).collect();
            for keys in std::iter::once(single).chain(several) {
                self.of_source(document, keys, None);
            }
        }
    }

    /// A source; what is filled in elsewhere may be anything.
    fn of_source(
        &mut self,
        document: &ReleaseDocument<'_>,
        mut keys: Vec<String>,
        at: Option<String>,
    ) {
        let Some(source) = document.down(&keys) else { return };
        let path =
            at.or_else(|| document.text_of(source, "path").map(|path| resolved(&open(path))));
        keys.push("helm".to_owned());
        let line = document.stream.node(document.root).line();
        let release = ReleaseName(format!("{}:{line}:{}", document.path, keys.join(".")));
        if let Some(path) = &path {
            self.want_beneath(&release, path, VALUES, Rank::Chart);
        }
        let Some(helm) = document.down(&keys) else { return };
        for file in document.items_of(helm, "valueFiles") {
            let Some(file) = document.stream.text(file).filter(|file| !file.contains("://")) else {
                continue;
            };
            let file = open(file);
            match (file.strip_prefix('$').and_then(|file| file.split_once('/')), &path) {
                // Of a source that is named, from its root: most often, this repository.
                (Some((_, file)), _) => self.want(&release, file, Rank::File),
                (None, Some(path)) if !file.starts_with('/') => {
                    self.want_beneath(&release, path, &file, Rank::File);
                }
                _ => self.want(&release, &file, Rank::File),
            }
        }
        for (key, rank) in [("values", Rank::Own), ("valuesObject", Rank::Patch)] {
            if let Some(values) = document.stream.get(helm, key) {
                let root = document.root_below(&keys, key);
                if let Some(values) = document.values(values, root, rank) {
                    self.add(&release, values);
                }
            }
        }
        let parameters = document.named_values(document.items_of(helm, "parameters"));
        let root = document.root_below(&keys, "parameters");
        self.add(&release, Single::all(root, parameters));
    }

    /// Wants a file by its path from that of a source; one that leads out of it is of all that a template makes.
    fn want_beneath(&mut self, release: &ReleaseName, path: &str, file: &str, rank: Rank) {
        let file = resolved(&format!("{path}/{file}"));
        let is_filled = path.contains('*') && file.starts_with(path);
        let wanted =
            Wanted { rank, by: [].into(), under: Vec::new(), is_filled, is_doubtful: false };
        self.want_as(release, &file, wanted);
    }

    /// Releases of Rancher Fleet, one for each target.
    fn of_fleet(&mut self, document: &ReleaseDocument<'_>) {
        let targets = document.items(&["targetCustomizations"]).len();
        let helm = || vec!["helm".to_owned()];
        let customized = (0..targets).map(|index| {
            ["targetCustomizations", &index.to_string(), "helm"].map(str::to_owned).to_vec()
        });
        for (index, target) in std::iter::once(None).chain(customized.map(Some)).enumerate() {
            let release = ReleaseName(format!("{}#{index}", document.path));
            let all = [Some(helm()), target];
            for (keys, rank) in all.into_iter().flatten().zip([Rank::Own, Rank::Patch]) {
                self.of_helm(document, &release, &keys, rank);
            }
        }
    }

    fn of_helm(
        &mut self,
        document: &ReleaseDocument<'_>,
        release: &ReleaseName,
        keys: &[String],
        rank: Rank,
    ) {
        let Some(helm) = document.down(keys) else { return };
        let stream = document.stream;
        let chart = document.text_of(helm, "chart");
        let is_here = chart.is_none_or(|chart| !chart.contains("://"));
        if is_here && rank == Rank::Own && stream.get(helm, "repo").is_none() {
            // Without a chart, it is the one that the file lies in.
            let chart = beside(document.path, chart.unwrap_or("."));
            self.want(release, &format!("{chart}/{VALUES}"), Rank::Chart);
        }
        for file in document.items_of(helm, "valuesFiles") {
            let Some(file) = stream.text(file) else { continue };
            self.want(release, &beside(document.path, file), Rank::File);
        }
        for item in document.items_of(helm, "valuesFrom") {
            for kind in ["configMapKeyRef", "secretKeyRef"] {
                let Some(from) = stream.get(item, kind).map(|node| stream.target(node)) else {
                    continue;
                };
                let Some(map) = document.text_of(from, "name").map(str::to_owned) else { continue };
                let key = document.text_of(from, "key").unwrap_or(VALUES).to_owned();
                let (rank, by) = (Rank::Map, [].into());
                let wanted =
                    Wanted { rank, by, under: Vec::new(), is_filled: false, is_doubtful: false };
                let all = self.maps.entry(ConfigKey { map, key }).or_default();
                all.insert(release.clone(), wanted);
            }
        }
        if let Some(values) = stream.get(helm, "values").map(|values| stream.target(values)) {
            let root = document.root_below(keys, "values");
            self.add(release, Values::read(stream, values, root, rank));
        }
    }

    /// The charts that a kustomization fills in.
    fn of_charts(&mut self, document: &ReleaseDocument<'_>) {
        for (index, item) in document.items(&["helmCharts"]).into_iter().enumerate() {
            let keys = ["helmCharts".to_owned(), index.to_string()];
            self.of_chart(document, item, &keys, &keys.join("."));
        }
    }

    /// A chart that kustomize fills in, by an entry of a kustomization or a generator of its own.
    fn of_chart(
        &mut self,
        document: &ReleaseDocument<'_>,
        item: NodeId,
        keys: &[String],
        name: &str,
    ) {
        let release = ReleaseName(format!("{}:{name}", document.path));
        let others = document.items_of(item, "additionalValuesFiles");
        let others = others.into_iter().filter_map(|file| document.stream.text(file));
        for file in document.text_of(item, "valuesFile").into_iter().chain(others) {
            self.want(&release, &beside(document.path, file), Rank::File);
        }
        if let Some(values) = document.stream.get(item, "valuesInline") {
            let root = document.root_below(keys, "valuesInline");
            if let Some(values) = document.values(values, root, Rank::Own) {
                self.add(&release, values);
            }
        }
    }

    /// The releases of a helmfile.
    fn of_helmfile(&mut self, document: &ReleaseDocument<'_>) {
        for (index, item) in document.items(&["releases"]).into_iter().enumerate() {
            let release = ReleaseName(format!("{}:releases.{index}", document.path));
            let at = || vec!["releases".to_owned(), index.to_string()];
            let name = document.text_of(item, "name").unwrap_or_default();
            // Any other name is that of a chart in a repository of charts.
            let chart = document.text_of(item, "chart").filter(|chart| chart.starts_with('.'));
            if let Some(chart) = chart.filter(|chart| !chart.contains("{{")) {
                let values = format!("{}/{VALUES}", beside(document.path, chart));
                // Templates, states and secrets that are not read may name another image for it.
                let (rank, by, under) = (Rank::Chart, [].into(), Vec::new());
                let wanted = Wanted { rank, by, under, is_filled: false, is_doubtful: true };
                self.want_as(&release, &values, wanted);
            }
            self.of_helmfile_release(document, &release, item, &at(), name);
            for template in templates(document, item) {
                let keys = vec!["templates".to_owned(), template.to_owned()];
                if let Some(node) = document.down(&keys) {
                    self.of_helmfile_release(document, &release, node, &keys, name);
                }
            }
        }
    }

    /// Reads the values of a release, or of a template that it takes. What is filled in elsewhere may be any of the files.
    fn of_helmfile_release(
        &mut self,
        document: &ReleaseDocument<'_>,
        release: &ReleaseName,
        item: NodeId,
        keys: &[String],
        name: &str,
    ) {
        let stream = document.stream;
        let merged = stream.get(item, "<<").map(|node| stream.target(node));
        let lists = ["values", "valuesTemplate"];
        let lists = lists
            .into_iter()
            .flat_map(|list| [(item, list)].into_iter().chain(merged.map(|m| (m, list))));
        for (node, list) in lists {
            for (at, values) in document.items_of(node, list).into_iter().enumerate() {
                if let Some(file) = stream.text(values).filter(|text| !text.contains('\n')) {
                    self.want_filled(document, release, name, file);
                    continue;
                }
                let list = keys.iter().cloned().chain([list.to_owned()]).collect::<Vec<_>>();
                let root = document.root_below(&list, &at.to_string());
                if let Some(values) = document.values(values, root, Rank::File) {
                    self.add(release, values);
                }
            }
        }
        for list in SETS {
            let set = document.named_values(document.items_of(item, list));
            self.add(release, Single::all(document.root_below(keys, list), set));
        }
    }

    /// Wants a file of a helmfile's release. What a template fills in makes releases that are alternatives, as one for each environment;
    /// one that is all of a path may name anything, and is not followed.
    fn want_filled(
        &mut self,
        document: &ReleaseDocument<'_>,
        release: &ReleaseName,
        name: &str,
        file: &str,
    ) {
        let own = ["{{ .Release.Name }}", "{{.Release.Name}}"];
        let file = own.iter().fold(file.to_owned(), |file, own| file.replace(own, name));
        let file = open(&file);
        if file != "**" {
            let is_filled = file.contains('*');
            let (by, under) = ([].into(), Vec::new());
            let is_doubtful = is_filled;
            let wanted = Wanted { rank: Rank::File, by, under, is_filled, is_doubtful };
            self.want_as(release, &beside(document.path, &file), wanted);
        }
    }

    /// A source of Flux's, or a patch of one.
    fn of_oci(&mut self, document: &ReleaseDocument<'_>, object: &ReleaseObject) {
        let release = ReleaseName(format!("{OCI_REPOSITORY} {}", object.name()));
        let Some(spec) = document.at(&["spec"]) else { return };
        // A patch of its address has neither of the others.
        let has = |key: &str| document.stream.get(spec, key).is_some();
        let is_whole = has("url") && (has("interval") || has("ref"));
        let rank = if is_whole { Rank::Own } else { Rank::Patch };
        let root = document.root_at(Some(object), &["spec"]);
        self.add(&release, Values::of_source(document.stream, spec, root, rank));
    }

    /// A release of k3s', or what is laid over it.
    fn of_k3s(&mut self, document: &ReleaseDocument<'_>, object: &ReleaseObject) {
        let release = ReleaseName(format!("{HELM_CHART} {}", object.name()));
        let rank = if object.is(HELM_CHART) { Rank::Own } else { Rank::Patch };
        let stream = document.stream;
        if let Some(node) = document.at(&["spec", "valuesContent"]) {
            let root = document.root_at(Some(object), &["spec", "valuesContent"]);
            if let Some(values) = document.values(node, root, rank) {
                self.add(&release, values);
            }
        }
        let set = document.at(&["spec", "set"]).map_or(&[][..], |set| stream.entries(set));
        let single = set.iter().filter_map(|(key, value)| {
            let (keys, line) = (dotted(stream.text(*key)?), stream.node(*value).line());
            Some(Single { keys, value: stream.text(stream.target(*value))?, line })
        });
        let single = Single::all(Root::nowhere(document.path), single.collect());
        let named_by = [document.path.to_owned()].into();
        self.add(&release, Values { named_by, ..single });
    }
}

/// The templates that a release of a helmfile takes.
fn templates<'d>(document: &ReleaseDocument<'d>, release: NodeId) -> Vec<&'d str> {
    let inherited = document.items_of(release, "inherit").into_iter();
    inherited.filter_map(|item| document.text_of(item, "template")).collect()
}

/// A path with `*` for what is filled in elsewhere, or `**` where that is all of it.
fn open(path: &str) -> String {
    if path.starts_with("{{") && path.ends_with("}}") && path.matches("{{").count() == 1 {
        return "**".to_owned();
    }
    let (mut out, mut rest) = (String::new(), path);
    while let Some((before, behind)) = rest.split_once("{{") {
        out.push_str(before);
        out.push('*');
        rest = behind.split_once("}}").map_or("", |(_, rest)| rest);
    }
    out + rest
}
