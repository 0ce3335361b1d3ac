// Drives the tests' Forgejo with a client that is made from Gitea's own description, as people's own scripts do.
// Arguments: the directory of packages, the address, the token, the owner, the repository, a branch with a commit.
import { createRequire } from 'node:module';

const [, , packages, host, token, owner, repo, branch] = process.argv;
const { giteaApi } = createRequire(packages + '/')('gitea-js');
const api = giteaApi(host, { token });
const refused = async (promise) => promise.then(() => 'accepted', (answer) => answer.status ?? String(answer));

const seen = {};
const made = (await api.repos.repoCreatePullRequest(owner, repo, { title: 'WIP: Mine', body: 'By hand', head: branch, base: 'main' })).data;
seen.made = [made.number, made.title, made.state, made.draft];
seen.again = await refused(api.repos.repoCreatePullRequest(owner, repo, { title: 'Again', head: branch, base: 'main' }));
const label = (await api.repos.issueCreateLabel(owner, repo, { name: 'ours', color: '#00ff00' })).data;
seen.set = (await api.repos.issueAddLabel(owner, repo, made.number, { labels: [label.id] })).data.map((one) => one.name);
const edited = (await api.repos.repoEditPullRequest(owner, repo, made.number, { title: 'Mine' })).data;
seen.edited = [edited.title, edited.draft];
await api.repos.issueCreateComment(owner, repo, made.number, { body: 'Hello' });
seen.events = (await api.repos.issueGetCommentsAndTimeline(owner, repo, made.number)).data.map((event) => event.type);
await api.repos.repoCreatePullReviewRequests(owner, repo, made.number, { reviewers: ['ada'] });
seen.reviews = (await api.repos.repoListPullReviews(owner, repo, made.number)).data.map((review) => review.state);
seen.statuses = (await api.repos.repoListStatusesByRef(owner, repo, edited.head.sha)).data.length;
const merge = (head) => api.repos.repoMergePullRequest(owner, repo, made.number, { Do: 'squash', head_commit_id: head });
seen.elsewhere = await refused(merge('0'.repeat(40)));
await merge(edited.head.sha);
seen.merged = (await api.repos.repoGetPullRequest(owner, repo, made.number)).data.merged;
seen.closed = await refused(merge(edited.head.sha));
seen.unknown = await refused(api.repos.repoGetPullRequest('acme', 'nothing', 1));
process.stdout.write(JSON.stringify(seen));
