// Executes a query on GitHub's published GraphQL schema over the pull requests of a test.
// Arguments: the directory of packages. Input: {query, variables, pulls}. Output: {answer, violations}.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(process.argv[2] + '/');
const { buildSchema, execute, parse, validate } = require('graphql');
const sdl = readFileSync(process.argv[2] + '/@octokit/graphql-schema/schema.graphql', 'utf8');
// The published text repeats some fields, which a strict reading refuses.
const schema = buildSchema(sdl, { assumeValidSDL: true });
const { query, variables, pulls } = JSON.parse(readFileSync(0, 'utf8'));

const document = parse(query);
const violations = validate(schema, document).map((error) => error.message);
const connection = (all, { first }) => ({ nodes: all.slice(0, first) });
const node = (pull) => ({
    ...pull,
    isCrossRepository: false,
    labels: (args) => connection(pull.labels.map((name) => ({ name })), args),
});
const rootValue = {
    repository: ({ owner, name }) => owner === 'acme' && name === 'fleet' && {
        pullRequests: (args) => connection(pulls.filter((pull) => args.states.includes(pull.state)
            && pull.headRefName === args.headRefName && pull.baseRefName === args.baseRefName)
            .sort((a, b) => b.number - a.number).map(node), args),
    },
};
const answer = violations.length ? { errors: violations.map((message) => ({ message })) }
    : await execute({ schema, document, rootValue, variableValues: variables });
violations.push(...(answer.errors ?? []).map((error) => error.message));
process.stdout.write(JSON.stringify({ answer, violations }));
