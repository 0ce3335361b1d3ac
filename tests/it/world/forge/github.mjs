// Executes operations on GitHub's published GraphQL schema over the pull requests of a test, one a line.
// Arguments: the directory of packages. A line in: {query, variables, pulls, repository, viewer, made}. A line
// out: {answer, violations, effects}.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const require = createRequire(process.argv[2] + '/');
const { buildSchema, execute, parse, validate } = require('graphql');
const sdl = readFileSync(process.argv[2] + '/@octokit/graphql-schema/schema.graphql', 'utf8');
// The published text repeats some fields, which a strict reading refuses.
const schema = buildSchema(sdl, { assumeValidSDL: true });
const connection = (all, { first, last }) => ({
    nodes: last === undefined ? all.slice(0, first) : all.slice(-last),
    pageInfo: { hasNextPage: first !== undefined && all.length > first },
});
const context = (check) => (check.context === undefined
    ? { __typename: 'CheckRun', checkSuite: { app: { slug: check.by ?? 'github-actions' } }, ...check }
    : { __typename: 'StatusContext', creator: { __typename: 'User', login: check.by ?? 'ada' }, ...check });
const node = (pull) => ({
    ...pull,
    isCrossRepository: pull.fork,
    isInMergeQueue: pull.queued,
    author: { __typename: 'User', login: pull.author },
    autoMergeRequest: pull.armed ? { enabledBy: { __typename: 'User', login: pull.armedBy } } : null,
    reviewRequests: { totalCount: pull.reviewers.length },
    latestOpinionatedReviews: (args) => connection(pull.reviews.map((state) => (
        { state, commit: { oid: pull.headRefOid }, author: pull.reviewer }
    )), args),
    labels: (args) => connection(pull.labels.map((name) => ({ name })), args),
    commits: (args) => connection([{
        commit: {
            oid: pull.headRefOid,
            statusCheckRollup: pull.checks.length
                ? { contexts: (args) => connection(pull.checks.map(context), args) } : null,
        },
    }], args),
});

const run = async ({ query, variables, pulls, issues, repository, viewer, heads, name: repositoryName, made, statuses }) => {
    const document = parse(query);
    const violations = validate(schema, document).map((error) => error.message);
    const effects = [];
    const mutation = (kind) => ({ input }) => {
        const pull = pulls.find((pull) => pull.id === input.pullRequestId);
        if (!pull) throw new Error('Could not resolve to a node');
        if (input.expectedHeadOid && input.expectedHeadOid !== pull.headRefOid) {
            throw new Error('Head sha didn\'t match');
        }
        if (kind === 'arm' && !repository.autoMergeAllowed) {
            throw new Error('Pull request Auto merge is not allowed for this repository');
        }
        if (kind === 'arm' && pull.mergeStateStatus === 'CLEAN') {
            throw new Error('Pull request Pull request is in clean status');
        }
        if (kind === 'enqueue' && pull.mergeStateStatus === 'DIRTY') {
            throw new Error('Pull request is not mergeable');
        }
        effects.push({ kind, number: pull.number });
        return { clientMutationId: null };
    };
    const rootValue = {
        viewer: { login: viewer },
        repository: ({ owner, name }) => owner === 'acme' && name === repositoryName && {
            ...repository,
            ref: ({ qualifiedName }) => heads[qualifiedName] && ({
                target: { __typename: 'Commit', oid: heads[qualifiedName] },
                associatedPullRequests: (args) => connection(pulls.filter((pull) => args.states.includes(pull.state)
                    && !pull.fork && `refs/heads/${pull.headRefName}` === qualifiedName
                    && pull.baseRefName === args.baseRefName).map(node), args),
            }),
            object: ({ oid }) => ({
                __typename: 'Commit', oid,
                statusCheckRollup: statuses[oid]
                    ? { contexts: (args) => connection(statuses[oid].map(context), args) } : null,
            }),
            pullRequests: (args) => connection(pulls.filter((pull) => args.states.includes(pull.state)
                && pull.headRefName === args.headRefName && pull.baseRefName === args.baseRefName)
                .sort((a, b) => b.number - a.number).map(node), args),
            issues: (args) => connection(issues.filter((issue) => args.states.includes('OPEN')
                && issue.labels.some((label) => args.labels.includes(label)))
                .map((issue) => ({ ...issue, author: { __typename: 'User', login: issue.author } })), args),
        },
        enablePullRequestAutoMerge: mutation('arm'),
        createCommitOnBranch: () => {
            if (!made) throw new Error('Expected branch to point to another commit');
            return { commit: { oid: made.oid, tree: { oid: made.tree }, signature: { __typename: 'GpgSignature', isValid: made.isSigned } } };
        },
        enqueuePullRequest: mutation('enqueue'),
        dequeuePullRequest: ({ input }) => mutation('dequeue')({ input: { pullRequestId: input.id } }),
        disablePullRequestAutoMerge: mutation('disarm'),
    };
    const isWrong = violations.length > 0;
    const answer = isWrong ? { errors: violations.map((message) => ({ message })) }
        : await execute({ schema, document, rootValue, variableValues: variables });
    // What a mutation refuses is an answer; a query has none to refuse.
    if (!query.startsWith('mutation')) {
        violations.push(...(answer.errors ?? []).map((error) => error.message));
    }
    return { answer, violations, effects };
};

for await (const line of createInterface({ input: process.stdin })) {
    process.stdout.write(JSON.stringify(await run(JSON.parse(line))) + '\n');
}
