// GitLab's bodies, as the types of its most used client publish them; they are made into JSON Schemas by scripts/test.
// Where the client's types lag behind the documentation, the documentation counts.
import type {
    AcceptMergeRequestOptions, BranchSchema, CommitStatusSchema, CreateMergeRequestOptions, EditMergeRequestOptions,
    ExpandedMergeRequestSchema, ExpandedPipelineSchema, IssueSchema, LabelEventSchema, MergeRequestDiffVersionsSchema, MergeRequestNoteSchema,
    MilestoneSchema, ReleaseSchema, SimpleUserSchema,
} from '@gitbeaker/core';

// https://docs.gitlab.com/api/merge_requests/#merge-status lists more verdicts, and `squash_on_merge`.
export type MergeRequest = Omit<ExpandedMergeRequestSchema, 'detailed_merge_status'>
    & { detailed_merge_status: string, squash_on_merge?: boolean };
export type HeadPipeline = ExpandedPipelineSchema;
export type Branch = BranchSchema;
// https://docs.gitlab.com/ci/jobs/#available-job-statuses lists more of them.
export type CommitStatus = Omit<CommitStatusSchema, 'status'> & { status: string };
export type DiffVersion = MergeRequestDiffVersionsSchema;
export type Issue = IssueSchema;
export type LabelEvent = LabelEventSchema;
export type Milestone = MilestoneSchema;
export type Note = MergeRequestNoteSchema;
export type Release = ReleaseSchema;
export type User = SimpleUserSchema;
export type AcceptRequest = AcceptMergeRequestOptions;
export type CreateRequest = CreateMergeRequestOptions;
export type EditRequest = EditMergeRequestOptions;
