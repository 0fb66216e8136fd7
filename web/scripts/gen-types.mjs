// src/gen/schema.json (written by gen_schema.py from the Python domain) → src/gen/types.ts
import { readFile, writeFile } from 'node:fs/promises';
import { compile } from 'json-schema-to-typescript';

const here = new URL('../src/gen/', import.meta.url);

export async function generate() {
  const schema = JSON.parse(await readFile(new URL('schema.json', here), 'utf8'));
  const source = await compile(schema, 'PangtingFeed', {
    additionalProperties: false,
    bannerComment: '// Generated from schema.json by scripts/gen-types.mjs. Do not edit.',
    unreachableDefinitions: true,
    style: { singleQuote: true },
  });
  // The generator's own remarks about where a definition came from say nothing to a reader.
  return source
    .replace(/ \*\n \* This interface was referenced by[^\n]*\n \* via the `definition` "[^"]*"\.\n/g, '')
    .replace(/\/\*\*\n \* This interface was referenced by[^\n]*\n \* via the `definition` "[^"]*"\.\n \*\/\n/g, '');
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  await writeFile(new URL('types.ts', here), await generate());
}
