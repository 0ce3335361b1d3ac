// Executes questions on the used part of GitLab's published GraphQL schema, one a line.
// Arguments: the directory of packages, the schema. A line in: {query, variables, path, pulls, viewer}. A line out:
// {answer, violations}.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const require = createRequire(process.argv[2] + '/');
const { buildSchema, execute, parse, validate } = require('graphql');
const schema = buildSchema(readFileSync(process.argv[3], 'utf8'));

// GitLab refuses a question above this (https://docs.gitlab.com/api/graphql/#limits). A field counts one, or more where it
// asks git or lists people; a list of merge requests counts one per cent more for each row.
const MOST = 250;
const COSTS = { diffHeadSha: 2, detailedMergeStatus: 2, labels: 5, reviewers: 5 };
const cost = (selections) => selections.reduce((sum, field) => {
    const beneath = field.selectionSet ? cost(field.selectionSet.selections) : 0;
    if (field.name.value !== 'mergeRequests') return sum + (COSTS[field.name.value] ?? 1) + beneath;
    const first = field.arguments.find((argument) => argument.name.value === 'first');
    return sum + Math.floor((beneath + 2) * (1 + 0.01 * Number(first?.value.value ?? 100)));
}, 0);

const list = (all, { first = 100 } = {}) => ({
    nodes: all.slice(0, first),
    pageInfo: { hasNextPage: all.length > first, hasPreviousPage: false },
});
const connection = (all, { first = 100, after }) => {
    const from = after ? Number(after) : 0;
    const nodes = all.slice(from, from + Math.min(first, 100));
    const end = from + nodes.length;
    return {
        count: all.length,
        nodes,
        pageInfo: { hasNextPage: end < all.length, hasPreviousPage: from > 0, endCursor: String(end) },
    };
};

const run = async ({ query, variables, path, pulls, viewer }) => {
    const document = parse(query);
    const violations = validate(schema, document).map((error) => error.message);
    const complexity = document.definitions.reduce((sum, part) => sum + cost(part.selectionSet.selections), 0);
    if (complexity > MOST) violations.push(`Query has complexity of ${complexity}, which exceeds max complexity of ${MOST}`);
    const rootValue = {
        currentUser: { username: viewer },
        project: ({ fullPath }) => fullPath === path ? {
            mergeRequest: ({ iid }) => {
                const pull = pulls.find((pull) => pull.iid === iid);
                const labels = (args) => list(pull.labels.map((title) => ({ title, updatedAt: pull.renamedAt })), args);
                return pull ? { labels } : null;
            },
            mergeRequests: (args) => connection(pulls.filter((pull) => args.state === pull.state
                && args.sourceBranches.includes(pull.sourceBranch) && args.targetBranches.includes(pull.targetBranch))
                .sort((a, b) => Number(b.iid) - Number(a.iid))
                .map((pull) => ({
                    ...pull,
                    labels: (args) => list(pull.labels.map((title) => ({ title, updatedAt: pull.renamedAt })), args),
                    approvedBy: (args) => list(pull.approvers, args),
                    // What the token may not see is null.
                    reviewers: (args) => list(pull.reviewers.map(({ username, reviewState }) => (
                        username === 'hidden' ? null : { username, mergeRequestInteraction: { reviewState } })), args),
                })), args),
        } : null,
    };
    const answer = violations.length ? { errors: violations.map((message) => ({ message })) }
        : await execute({ schema, document, rootValue, variableValues: variables });
    violations.push(...(answer.errors ?? []).map((error) => error.message));
    return { answer, violations };
};

for await (const line of createInterface({ input: process.stdin })) {
    process.stdout.write(JSON.stringify(await run(JSON.parse(line))) + '\n');
}
