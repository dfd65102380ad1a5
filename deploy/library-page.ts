/** `bun run docs:library`: the reference of the library, made of its declarations, in `docs/reference/library.md`. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

const ROOT = join(import.meta.dir, '..')
const PAGE = join(ROOT, 'docs/reference/library.md')
const DOORS = { vestal: 'index.d.ts', 'vestal/wasm': 'wasm/signatures.d.ts' }
const INTRODUCTION = `# Library

<!-- Made of the declarations by \`bun run docs:library\`. -->

\`bun add vestal elysia\` adds the library to an application; it runs on Bun, and \`vestal/wasm\` runs anywhere. \`elysia\` is a peer dependency: 1.4.27 or
newer, below 1.5. Types check at \`strict\` with \`moduleResolution\` \`bundler\` and \`nodenext\`. [What the package has and
weighs](../decisions/076-the-package.md).

- **An engine has worker processes**, which keep a program alive: call \`engine.stop()\`, or write \`await using engine = await createEngine(…)\`.
- **Permissions can have a type**: \`authentication<'orders:read' | 'orders:write'>(…)\` rejects a misspelt name when it is compiled.
- **Permissions of a path's parameters** are a function whose parameter has a type, so that the handler still has its \`token\`:
  \`permissions: ({ id }: Readonly<Record<string, string>>) => ['own:' + id]\`.
- **An Eden client** has the data of each handler, and 401 and 403 (\`ErrorBody\`) on routes with \`permissions\`. Elysia forgets the errors of any macro inside
  \`.guard({ … }, (app) => …)\` and \`.group('/…', { … }, (app) => …)\`; \`.guard({ … })\` followed by routes keeps them.

In the examples, \`secret\` is a shared secret of at least 32 bytes, \`token\` a token, and the functions are imported from \`vestal\`.
`

interface Declaration {
  readonly name: string
  readonly kind: string
  /** Its sentence or sentences, its example and what it throws. */
  readonly about: string
  readonly example: string | undefined
  readonly throws: string | undefined
  readonly signature: string
  /** Names that it extends, and that are in the library only through it. */
  readonly bases: readonly string[]
  readonly file: string
}

/** The declarations of a folder that the compiler wrote, by the file and the name. */
class Declarations {
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = folder
  }

  /** The names that a file exports, each with the file that declares it. */
  exportsOf(file: string): readonly (readonly [name: string, file: string])[] {
    const text = this.#read(file)
    const again = [...text.matchAll(/^export (?:type )?\{ (.+?) \} from '(.+?)';$/gm)].flatMap(([, names = '', from = '']) =>
      names.split(', ').map((name) => [name, this.#resolve(file, from)] as const),
    )
    const own = [...text.matchAll(/^export declare (?:function|class) (\w+)/gm)].map(([, name = '']) => [name, file] as const)
    return [...again, ...own]
  }

  declaration(name: string, file: string): Declaration {
    const text = this.#read(file)
    const found = new RegExp(`^export (?:declare )?(?:abstract )?(function|class|interface|type|const) ${name}\\b`, 'm').exec(
      text,
    )
    if (found === null) throw new Error(`${file}: it does not declare ${name}`)
    const { index, 1: kind = '' } = found
    const before = text.slice(0, index).trimEnd()
    const comment = before.endsWith('*/') ? before.slice(before.lastIndexOf('/**')) : ''
    const [first = ''] = text.slice(index).split('\n')
    // A block ends at the margin; anything else is one line.
    const length = first.endsWith('{') ? text.slice(index).search(/^\}.*$/m) + 1 : first.length
    return {
      name,
      kind,
      file,
      ...partsOf(comment),
      signature: signatureOf(text.slice(index, index + length)),
      bases: basesOf(text.slice(index)),
    }
  }

  /** The file that a name comes from: its own, or the one that it is imported from. */
  fileOf(name: string, file: string): string | undefined {
    const text = this.#read(file)
    if (new RegExp(`^export (?:declare )?interface ${name}\\b`, 'm').test(text)) return file
    const from = new RegExp(`^import (?:type )?\\{[^}]*\\b${name}\\b[^}]*\\} from '(\\..+?)';$`, 'm').exec(text)?.[1]
    return from === undefined ? undefined : this.#resolve(file, from)
  }

  #resolve(file: string, from: string): string {
    return join(dirname(file), from.replace(/\.[jt]s$/, '.d.ts'))
  }

  #read(file: string): string {
    return readFileSync(join(this.#folder, file), 'utf8')
  }
}

function partsOf(comment: string): Pick<Declaration, 'about' | 'example' | 'throws'> {
  const lines = comment
    .replaceAll(/^\/\*\* ?|\s*\*\/$/g, '')
    .split('\n')
    .map((line) => line.replace(/^\s*\* ?/, ''))
  const parts = lines.join('\n').split(/^@(?=\w)/m)
  const tag = (name: string) =>
    parts
      .find((part) => part.startsWith(`${name} `) || part.startsWith(`${name}\n`))
      ?.slice(name.length)
      .trim()
  return {
    about: (parts[0] ?? '').trim().replaceAll('\n', ' '),
    example: tag('example'),
    throws: tag('throws')?.replaceAll('\n', ' '),
  }
}

/** In the form of the source: two spaces, no semicolons, single quotes; without what only a compiler reads. */
function signatureOf(text: string): string {
  const lines = text
    .replace(/^export (?:declare )?/, '')
    .split('\n')
    .filter((line) => !/^\s+#private;$/.test(line))
    .map((line) => line.replace(/^( +)/, (spaces) => ' '.repeat(Math.ceil(spaces.length / 2))).replace(/;$/, ''))
  const whole = lines.join('\n').replaceAll('"', "'")
  // What is inferred of an app is its whole table of routes.
  return whole.replace(/^(function \w+\([^)]*\)): Elysia<[\s\S]*$/, '$1: Elysia<…>')
}

function basesOf(text: string): readonly string[] {
  const header = /^export interface \w+(?:<[^{]*>)? extends ([^{]+) \{/.exec(text)?.[1] ?? ''
  return [...header.matchAll(/(?:Omit<|Partial<|^|, )(?:Omit<|Partial<)?([A-Z]\w*)/g)]
    .map(([, name = '']) => name)
    .filter((name) => !/^(?:Omit|Partial|AsyncDisposable)$/.test(name))
}

function sectionOf(declaration: Declaration, declarations: Declarations, exported: ReadonlySet<string>): string {
  const { name, kind, about, example, throws, signature } = declaration
  const parts = [
    `### ${name}`,
    about,
    ...(example === undefined ? [] : [`\`\`\`ts\n${example}\n\`\`\``]),
    ...(throws === undefined ? [] : [`Throws ${throws}.`]),
    `${kind === 'function' ? 'Signature:\n\n' : ''}\`\`\`ts\n${signature}\n\`\`\``,
  ]
  return [...parts.filter((part) => part !== ''), ...fieldsOfBases(declaration, declarations, exported)].join('\n\n')
}

/** The fields that a type has from types that no door exports. */
function fieldsOfBases(
  { bases, file, name }: Declaration,
  declarations: Declarations,
  exported: ReadonlySet<string>,
): readonly string[] {
  return bases.flatMap((base) => {
    const from = exported.has(base) ? undefined : declarations.fileOf(base, file)
    if (from === undefined) return []
    const declaration = declarations.declaration(base, from)
    return [
      `\`${name}\` also has the fields of:\n\n\`\`\`ts\n${declaration.signature}\n\`\`\``,
      ...fieldsOfBases({ ...declaration, name }, declarations, exported),
    ]
  })
}

/** The whole page. Declarations are those that `tsc` writes. */
export function libraryPage(folder: string): string {
  const declarations = new Declarations(folder)
  const doors = Object.entries(DOORS).map(([door, file]) => ({
    door,
    all: declarations.exportsOf(file).map(([name, from]) => declarations.declaration(name, from)),
  }))
  const exported = new Set(doors.flatMap(({ all }) => all.map(({ name }) => name)))
  const groups = [
    ['Functions', ['function']],
    ['Errors', ['class']],
    ['Types', ['interface', 'type']],
  ] as const
  const byName = (a: Declaration, b: Declaration) => a.name.localeCompare(b.name, 'en')
  const sections = (all: readonly Declaration[]) =>
    all.toSorted(byName).map((declaration) => sectionOf(declaration, declarations, exported))
  const [library, wasm] = doors
  return [
    INTRODUCTION.trim(),
    ...groups.flatMap(([title, kinds]) => [
      `## ${title}`,
      ...sections(library?.all.filter(({ kind }) => kinds.some((each) => each === kind)) ?? []),
    ]),
    '## vestal/wasm',
    'Checks signatures where no Bun is: in Node, in browsers and in workers, bundled or not. It has a module of WebAssembly inside; `vestal/wasm/signatures.wasm` is the file of it.',
    ...sections(wasm?.all ?? []),
    '',
  ]
    .join('\n\n')
    .trimEnd()
    .concat('\n')
}

/** Has the compiler write the declarations to a folder for a while. */
export function withDeclarations<T>(use: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'vestal-declarations-'))
  try {
    const command = [
      process.execPath,
      join(ROOT, 'node_modules/.bin/tsc'),
      '--project',
      join(import.meta.dir, 'tsconfig.package.json'),
      '--emitDeclarationOnly',
      '--outDir',
      folder,
    ]
    const { exitCode, stdout } = Bun.spawnSync(command)
    if (exitCode !== 0) throw new Error(stdout.toString())
    return use(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

if (import.meta.main) writeFileSync(PAGE, withDeclarations(libraryPage))
