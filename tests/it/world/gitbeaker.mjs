// Drives the tests' GitLab with its most used client, as people's own scripts do.
// Arguments: the directory of packages, the address, the token, the project, a branch with a commit.
import { createRequire } from 'node:module';

const [, , packages, host, token, project, branch] = process.argv;
const { Gitlab } = createRequire(packages + '/')('@gitbeaker/rest');
const api = new Gitlab({ host, token });
const refused = async (promise) => promise.then(() => 'accepted', (error) => error.cause?.response?.status ?? String(error));

const seen = {};
const made = await api.MergeRequests.create(project, branch, 'main', 'Draft: Mine', { description: 'By hand' });
seen.made = [made.iid, made.title, made.draft, made.state];
seen.again = await refused(api.MergeRequests.create(project, branch, 'main', 'Again'));
const [ada] = await api.Users.all({ username: 'ada' });
const set = await api.MergeRequests.edit(project, made.iid, { addLabels: 'bump,ours', reviewerIds: [ada.id], title: 'Mine' });
seen.set = [set.labels, set.reviewers.map((user) => user.username), set.draft];
await api.MergeRequestNotes.create(project, made.iid, 'Hello');
const events = await api.MergeRequestLabelEvents.all(project, made.iid);
seen.events = events.map((event) => [event.action, event.label.name, event.user.username]);
seen.versions = (await api.MergeRequests.allDiffVersions(project, made.iid)).length;
seen.statuses = (await api.Commits.allStatuses(project, set.sha)).length;
seen.elsewhere = await refused(api.MergeRequests.accept(project, made.iid, { sha: '0'.repeat(40) }));
const merged = await api.MergeRequests.accept(project, made.iid, { sha: set.sha });
seen.merged = merged.state;
seen.closed = await refused(api.MergeRequests.accept(project, made.iid, { sha: set.sha }));
seen.unknown = await refused(api.MergeRequests.show('acme/nothing', 1));
process.stdout.write(JSON.stringify(seen));
