import { describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { basename, dirname, join, relative, resolve } from 'node:path'

const ROOT = join(import.meta.dir, '..')
const SOURCE = join(ROOT, 'src')

/** What each room may import, beside itself; the public door is nobody's to import. */
const ROOMS: Readonly<Record<string, readonly string[]>> = {
  core: [],
  wasm: ['core'],
  jose: ['core', 'wasm'],
  keys: ['core', 'jose'],
  tensor: ['core'],
  jwks: ['core', 'jose'],
  config: ['core'],
  platform: ['core', 'config'],
  telemetry: ['core'],
  auth: ['core', 'jose', 'jwks'],
  accounts: ['core', 'jose', 'auth'],
  storage: ['core', 'accounts'],
  inference: ['core', 'tensor', 'platform'],
  http: ['core', 'jose', 'keys', 'tensor', 'platform', 'telemetry', 'auth', 'accounts', 'inference'],
  server: ['core', 'jose', 'keys', 'jwks', 'config', 'platform', 'telemetry', 'auth', 'accounts', 'storage', 'inference', 'http'],
  batch: ['core', 'tensor', 'config'],
  doctor: ['core', 'jose', 'keys', 'config', 'platform', 'storage', 'inference', 'server'],
  cli: [
    'core',
    'jose',
    'keys',
    'tensor',
    'config',
    'platform',
    'accounts',
    'storage',
    'inference',
    'http',
    'server',
    'batch',
    'doctor',
  ],
}
const LINES_MAX = 400

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
    ['onnxruntime-node', /from 'onnxruntime-node'/, /^src\/inference\/runtime\/ort\.ts$/],
    ['@node-rs/jsonwebtoken', /'@node-rs\/jsonwebtoken'/, /^src\/jose\/signature-backends\/native\.ts$/],
    [
      'the network as a client',
      /(?<!#)\bfetch\(/,
      // The script of the documentation page runs in a browser.
      /^src\/(?:jwks\/|telemetry\/tracing\/span-exporter\.ts$|wasm\/|http\/docs-script\.ts$|server\/local-server\.ts$|cli\/models\/server\.ts$)/,
    ],
    ['the C library', /from 'bun:ffi'/, /^src\/(?:platform\/c-library|inference\/instance\/restrict)\.ts$/],
    ['the environment', /\b(?:process|Bun)\.env\b/, /^src\/(?:config\/|inference\/instance\/instance-process\.ts$)/],
    [
      'files',
      /from '(?:node:)?fs(?:\/promises)?'/,
      /^src\/(?:cli|server|doctor|batch|platform|config|keys|inference\/(?:repository|runtime|instance|remote)|storage|wasm)\//,
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

    test(`${file} is short and well named`, () => {
      const lines = textOf(file).split('\n').length - 1
      // A suite of cases may be long: it is read by its names.
      if (!isTest) expect(lines).toBeLessThanOrEqual(LINES_MAX)
      expect(basename(file)).toMatch(/^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.slow)?(?:\.test)?\.(?:ts|js)$/)
      expect(basename(file)).not.toMatch(/^(?:utils?|helpers?|common|misc|types)\b/)
      if (!isTest) expect(textOf(file)).not.toMatch(/\b(?:TODO|FIXME|XXX)\b/)
    })
  }

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
