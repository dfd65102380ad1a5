import { describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { basename, dirname, join, relative, resolve } from 'node:path'

const ROOT = join(import.meta.dir, '..')
const SOURCE = join(ROOT, 'src')

/** What each room may import, beside itself; the public door is nobody's to import. */
const ROOMS: Readonly<Record<string, readonly string[]>> = {
  core: [],
  wasm: ['core'],
  schema: ['core'],
  jose: ['core', 'wasm'],
  keys: ['core', 'jose'],
  tensor: ['core', 'wasm'],
  jwks: ['core', 'jose'],
  config: ['core'],
  platform: ['core', 'config'],
  telemetry: ['core'],
  auth: ['core', 'jose', 'jwks'],
  accounts: ['core', 'jose', 'auth'],
  storage: ['core', 'accounts'],
  processes: ['core', 'tensor', 'platform'],
  tasks: ['core', 'schema', 'tensor', 'platform', 'processes', 'wasm'],
  model: ['core', 'schema', 'tensor', 'tasks'],
  inference: ['core', 'schema', 'tensor', 'platform', 'processes', 'tasks', 'model'],
  testing: ['core', 'model', 'tasks', 'inference'],
  http: ['core', 'schema', 'jose', 'keys', 'tensor', 'platform', 'telemetry', 'auth', 'accounts', 'tasks', 'inference'],
  server: [
    'core',
    'jose',
    'keys',
    'jwks',
    'config',
    'platform',
    'processes',
    'telemetry',
    'auth',
    'accounts',
    'storage',
    'inference',
    'http',
  ],
  batch: ['core', 'tensor', 'config', 'tasks'],
  doctor: ['core', 'jose', 'keys', 'config', 'platform', 'storage', 'tasks', 'inference', 'server'],
  cli: [
    'core',
    'jose',
    'keys',
    'tensor',
    'config',
    'platform',
    'accounts',
    'storage',
    'tasks',
    'inference',
    'http',
    'server',
    'batch',
    'doctor',
  ],
}
/** Lines of a function, without those of the functions in it. */
const FUNCTION_LINES_MAX = 70
/** Functions that may be longer, with the reason. */
const LONG_FUNCTIONS: ReadonlyMap<string, string> = new Map([
  ['createApp', 'wires every part of the app once, in the order in which hooks must be added'],
  ['defineTables', 'is a list of columns, and each table names the ones before it'],
])

/** What is started, or imported by others than this repository. */
const DOORS = [
  'src/index.ts',
  'src/cli/main.ts',
  'src/inference/instance/main.ts',
  'src/tasks/media/main.ts',
  'src/http/predict/body-thread.ts',
  'src/tasks/text/tokenizer-main.ts',
  'src/inference/code/main.ts',
  // What a model.ts imports.
  'src/model/model.ts',
  'src/testing/testing.ts',
  'src/server/cluster/engine-main.ts',
  'src/wasm/signatures.js',
  // drizzle-kit reads them for the migrations.
  'src/storage/sqlite-tables.ts',
  'src/storage/postgres-tables.ts',
]

const files = [...new Bun.Glob('{src,bench,test,deploy,examples}/**/*.{ts,js}').scanSync(ROOT)].sort()
const textOf = (file: string) => readFileSync(join(ROOT, file), 'utf8')
const sources = files.filter((file) => file.startsWith('src/'))

function importsOf(file: string): readonly string[] {
  return [...textOf(file).matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map(([, name = '']) => name)
}

/** Without those of types, which are gone when the program runs. */
function valuesImportedBy(file: string): readonly string[] {
  const text = textOf(file).replaceAll(/(?:import|export) type [^'\n]*(?:\n[^'\n]*)*? from '[^']+'/g, '')
  return [...text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map(([, name = '']) => name)
}

/** Files of the repository that a file imports, types too. */
function filesImportedBy(file: string): readonly string[] {
  const paths = importsOf(file).filter((name) => name.startsWith('.'))
  return paths.map((name) => relative(ROOT, resolve(ROOT, dirname(file), name)))
}

/** What every file imports of each file of the source, by name; `*` where all of it may be used. */
function namesImportedOf(): ReadonlyMap<string, ReadonlySet<string>> {
  const names = new Map<string, Set<string>>()
  const pattern = /(?:(?:import|export) (?:type )?(?:\{([^}]*)\}|\*(?: as \w+)?) from |import\()'(\.[^']+)'/g
  for (const file of files) {
    for (const [, list, path = ''] of textOf(file).matchAll(pattern)) {
      const target = relative(ROOT, resolve(ROOT, dirname(file), path))
      const known = names.get(target) ?? new Set()
      names.set(target, known)
      for (const item of list?.split(',') ?? ['*'])
        known.add(
          item
            .trim()
            .replace(/^type /, '')
            .split(' as ')[0] ?? '',
        )
    }
  }
  return names
}

/** Groups of files that import each other in a circle. */
function cyclesOf(graph: ReadonlyMap<string, readonly string[]>): readonly (readonly string[])[] {
  const reachable = new Map([...graph.keys()].map((file) => [file, reachableFrom([file], graph)] as const))
  const inCycles = [...graph.keys()].filter((file) => graph.get(file)?.some((next) => reachable.get(next)?.has(file)))
  const groups = inCycles.map((file) =>
    inCycles.filter((other) => reachable.get(file)?.has(other) && reachable.get(other)?.has(file)),
  )
  return [...new Map(groups.map((group) => [group.join(), group])).values()]
}

function reachableFrom(doors: readonly string[], graph: ReadonlyMap<string, readonly string[]>): ReadonlySet<string> {
  const reached = new Set(doors)
  for (const file of reached) for (const next of graph.get(file) ?? []) reached.add(next)
  return reached
}

/** The functions and methods of a file that are written with a block, and how many lines each has of its own. */
function functionsIn(file: string): readonly { readonly name: string; readonly lines: number }[] {
  const lines = textOf(file).split('\n')
  const found: { name: string; begin: number; end: number }[] = []
  for (const [begin, line] of lines.entries()) {
    const head =
      /^( *)(?:export )?(?:async )?(?:function\*? (\w+)|(?!if|for|while|switch|return|throw|catch)(?:const )?\*?(#?\w+)(?: = async | = |: )?\()/.exec(
        line,
      )
    if (head === null || !/(?:\{|\()$/.test(line)) continue
    const [, indent = '', name = head[3] ?? ''] = head
    const end = lines.findIndex((other, index) => index > begin && new RegExp(`^${indent}\\}`).test(other))
    if (end > begin) found.push({ name, begin, end })
  }
  return found.map(({ name, begin, end }) => {
    const inner = found.filter((other) => other.begin > begin && other.end < end)
    const outermost = inner.filter((each) => !inner.some((other) => other.begin < each.begin && other.end > each.end))
    return { name, lines: end - begin + 1 - outermost.reduce((sum, each) => sum + each.end - each.begin + 1, 0) }
  })
}

function roomOf(path: string): string {
  return relative(SOURCE, path).split('/')[0] ?? ''
}

describe('rooms', () => {
  for (const file of sources.filter((name) => name !== 'src/index.ts')) {
    test(`${file} imports only from the rooms below its own`, () => {
      const room = roomOf(join(ROOT, file))
      const allowed = ROOMS[room]
      expect(allowed).toBeDefined()
      for (const name of importsOf(file).filter((imported) => imported.startsWith('.'))) {
        const target = resolve(ROOT, dirname(file), name)
        if (target === join(ROOT, 'package.json')) continue
        expect([name, /\.[tj]s$/.test(name)]).toEqual([name, true])
        expect([...(allowed ?? []), room]).toContain(roomOf(target))
      }
    })
  }

  test('have no cycles among them', () => {
    const order = Object.keys(ROOMS)
    for (const [room, below] of Object.entries(ROOMS)) {
      for (const name of below) expect([room, name, order.indexOf(name) < order.indexOf(room)]).toEqual([room, name, true])
    }
  })

  const owners: readonly (readonly [what: string, pattern: RegExp, owner: RegExp])[] = [
    ['elysia', /from '(?:elysia|@elysiajs\/[^']+)'/, /^src\/http\//],
    [
      '@sinclair/typebox',
      /from '@sinclair\/typebox[^']*'/,
      /^src\/(?:schema|http|tasks|model|inference\/(?:repository|pipelines|code))\//,
    ],
    ['onnxruntime-node', /from 'onnxruntime-node'/, /^src\/inference\/runtime\/ort\.ts$/],
    ['tokenizers', /from 'tokenizers'/, /^src\/tasks\/text\/tokenizers\.ts$/],
    ['@node-rs/jsonwebtoken', /'@node-rs\/jsonwebtoken'/, /^src\/jose\/signature-backends\/native\.ts$/],
    [
      'the network as a client',
      /(?<!#)\bfetch\(/,
      // The script of the documentation page runs in a browser.
      /^src\/(?:jwks\/|telemetry\/tracing\/span-exporter\.ts$|wasm\/|http\/docs-script\.ts$|server\/local-server\.ts$|cli\/models\/server\.ts$)/,
    ],
    ['the C library', /from 'bun:ffi'/, /^src\/(?:inference\/code\/restrict-code|platform\/c-library|processes\/restrict)\.ts$/],
    ['the environment', /\b(?:process|Bun)\.env\b/, /^src\/(?:config\/|processes\/child\.ts$)/],
    [
      'files',
      /from '(?:node:)?fs(?:\/promises)?'/,
      /^src\/(?:cli|server|doctor|batch|testing|platform|config|keys|processes|tasks|inference\/(?:repository|runtime|instance|remote|code)|storage|wasm)\//,
    ],
    [
      'databases',
      /from '(?:bun:sqlite|drizzle-orm[^']*)'|import \{[^}]*\bSQL\b[^}]*\} from 'bun'/,
      /^src\/(?:storage\/|keys\/file-lock\.ts$)/,
    ],
  ]
  for (const [what, pattern, owner] of owners) {
    test(`use ${what} in one place alone`, () => {
      const users = sources.filter((file) => pattern.test(textOf(file)))
      expect(users.length).toBeGreaterThan(0)
      expect(users.filter((file) => !owner.test(file))).toEqual([])
    })
  }

  test('reach ONNX Runtime by the program of an instance alone: it must never be loaded where HTTP is answered', () => {
    const reached = new Set<string>()
    const visit = (file: string) => {
      if (reached.has(file)) return
      reached.add(file)
      for (const name of valuesImportedBy(file))
        if (name.startsWith('.')) visit(relative(ROOT, resolve(ROOT, dirname(file), name)))
    }
    for (const door of ['src/index.ts', 'src/cli/main.ts']) visit(door)
    expect(reached.size).toBeGreaterThan(100)
    expect(reached.has('src/inference/runtime/ort.ts')).toBe(false)
    visit('src/inference/instance/main.ts')
    expect(reached.has('src/inference/runtime/ort.ts')).toBe(true)
  })

  test('that are pure know neither HTTP nor files nor processes', () => {
    for (const file of sources.filter((name) =>
      /^src\/(?:core|jose|tensor|telemetry\/(?:metrics|log)|auth|accounts)\//.test(name),
    )) {
      const forbidden = importsOf(file).filter((name) => /^(?:node:)?(?:fs|http|net|child_process|os|path)/.test(name))
      expect([file, forbidden]).toEqual([file, []])
    }
  })
})

describe('files', () => {
  for (const file of files) {
    const isTest = file.startsWith('test/')

    test(`${file} is well named, and its functions fit on a screen`, () => {
      // A suite of cases may be long: it is read by its names.
      if (!isTest)
        expect(functionsIn(file).filter(({ name, lines }) => lines > FUNCTION_LINES_MAX && !LONG_FUNCTIONS.has(name))).toEqual([])
      expect(basename(file)).toMatch(/^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.slow)?(?:\.test)?\.(?:ts|js)$/)
      expect(basename(file)).not.toMatch(/^(?:utils?|helpers?|common|misc|types)\b/)
      if (!isTest) expect(textOf(file)).not.toMatch(/\b(?:TODO|FIXME|XXX)\b/)
    })
  }

  test('import each other in no circle, types included', () => {
    expect(cyclesOf(new Map(files.map((file) => [file, filesImportedBy(file)])))).toEqual([])
    // The other way round: a circle would be seen.
    const circle: readonly (readonly [string, readonly string[]])[] = [
      ['a', ['b']],
      ['b', ['c']],
      ['c', ['b', 'd']],
      ['d', []],
    ]
    expect(cyclesOf(new Map(circle))).toEqual([['b', 'c']])
  })

  test('of the source are all reached from a program or a public door', () => {
    const graph = new Map(sources.map((file) => [file, filesImportedBy(file)]))
    expect(sources.filter((file) => !reachableFrom(DOORS, graph).has(file))).toEqual([])
  })

  test('of the source export no value that no other file imports', () => {
    const names = namesImportedOf()
    for (const file of sources.filter((name) => !DOORS.includes(name))) {
      const exported = [...textOf(file).matchAll(/^export (?:async )?(?:function\*?|class|const|let) (\w+)/gm)]
      const known = names.get(file)
      const dead = exported.map(([, name = '']) => name).filter((name) => known?.has(name) !== true && known?.has('*') !== true)
      expect([file, dead]).toEqual([file, []])
    }
  })

  test('of the source say what each exported function and class is for', () => {
    for (const file of sources) {
      const bare = [...textOf(file).matchAll(/(?<before>[^\n]*)\nexport (?:async )?(?:function|class) (?<name>\w+)/g)].filter(
        ({ groups }) => !groups?.before?.trim().endsWith('*/'),
      )
      expect([file, bare.map(({ groups }) => groups?.name)]).toEqual([file, []])
    }
  })

  test('hold no tests that are left out or run alone', () => {
    for (const file of files.filter((name) => name.endsWith('.test.ts') && name !== 'test/tidy.test.ts')) {
      expect([file, textOf(file).match(/\b(?:test|describe)\.(?:only|skip|todo)\b/)]).toEqual([file, null])
    }
  })

  test('wait with a limit, and say for what', () => {
    const endless = /^\s*while \((?:.*\) await Bun\.sleep\(|.*await .*\);$)/m
    const found = files.filter((file) => file.startsWith('test/') && endless.test(textOf(file)))
    expect(found).toEqual([])
  })

  test('that are committed name no host of a package registry', () => {
    expect(readFileSync(join(ROOT, 'bun.lock'), 'utf8')).not.toMatch(/https?:\/\//)
  })
})
