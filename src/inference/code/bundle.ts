/** Makes one file of a `model.ts` and of all that it imports, without running any of it. */
import { basename, dirname, resolve } from 'node:path'
import type { BunPlugin } from 'bun'
import type { BundleFacts } from './messages.ts'

/** By which a bundle finds what `vestal/model` exports: the process has it, and a bundle brings no copy of its own. */
export const MODEL_MODULE = Symbol.for('vestal/model')

export interface Bundle {
  readonly text: string
  readonly facts: BundleFacts
  /** Paths of the files that it was made of. */
  readonly sources: readonly string[]
}

const TEXT_CHARACTERS_MAX = 32 * 1024 * 1024

/** An import that the bundler would run, wherever its file lies: `with { type: 'macro' }`, or from 'macro:…'. */
const MACRO = /['"]macro['":]/
const ESCAPED = /\\u\{([\da-f]{1,6})\}|\\u([\da-f]{4})|\\x([\da-f]{2})/gi

/** Rejects files with macros: the bundler runs them, and does not say which files they are. */
const withoutMacros: BunPlugin = {
  name: 'without macros',
  setup(build) {
    build.onLoad({ filter: /\.[cm]?[jt]sx?$/, namespace: 'file' }, async ({ path }) => {
      const text = await Bun.file(path).text()
      const plain = text.replace(ESCAPED, (_, ...[braced, four, two]: readonly (string | undefined)[]) =>
        String.fromCharCode(Number.parseInt(braced ?? four ?? two ?? '', 16)),
      )
      if (MACRO.test(plain)) throw new Error(`model.ts can use no macros: import the function and call it (${basename(path)})`)
      return undefined
    })
  },
}

function modelModule(names: readonly string[]): BunPlugin {
  const exported = `export const { ${names.join(', ')} } = globalThis[Symbol.for('vestal/model')]`
  return {
    name: 'vestal/model',
    setup(build) {
      build.onResolve({ filter: /^vestal(?:\/|$)/ }, ({ path }) => {
        if (path !== 'vestal/model') throw new Error(`model.ts can import 'vestal/model' of Vestal, and not '${path}'`)
        return { path: 'model', namespace: 'vestal' }
      })
      build.onLoad({ filter: /.*/, namespace: 'vestal' }, () => ({ contents: exported, loader: 'js' }))
      build.onResolve({ filter: /\.node$/ }, ({ path }) => {
        throw new Error(`'${path}' is a native addon, which model.ts cannot use`)
      })
    },
  }
}

/**
 * Bundles a `model.ts`.
 * @throws Error with what is wrong, by file and line
 */
export async function bundle(entry: string, names: readonly string[]): Promise<Bundle> {
  const folder = dirname(entry)
  const { success, logs, outputs, metafile } = await Bun.build({
    entrypoints: [entry],
    target: 'bun',
    format: 'esm',
    sourcemap: 'external',
    metafile: true,
    throw: false,
    plugins: [modelModule(names), withoutMacros],
  }).catch((error: unknown) => ({ success: false, logs: [error], outputs: [], metafile: undefined }))
  if (!success) throw new Error(faultsOf(logs, folder))
  const [code] = outputs.filter(({ kind }) => kind === 'entry-point')
  const [map] = outputs.filter(({ kind }) => kind === 'sourcemap')
  const asset = outputs.find((output) => output !== code && output !== map)
  if (asset !== undefined)
    throw new Error(
      `model.ts imports a file that is no code, text or JSON (${asset.path}): import it with { type: 'text' }, or read it in setup`,
    )
  if (code === undefined || map === undefined || metafile === undefined)
    throw new Error('model.ts cannot be bundled: the bundler gave no output')
  const text = await code.text()
  if (text.length > TEXT_CHARACTERS_MAX)
    throw new Error(`model.ts has ${text.length} characters with all that it imports; at most ${TEXT_CHARACTERS_MAX} are allowed`)
  const sources = Object.keys(metafile.inputs).filter((path) => !path.startsWith('vestal:'))
  return { text, facts: { map: await map.text(), folder }, sources: sources.map((path) => resolve(path)) }
}

const FAULTS_MAX = 3

/** What the bundler found, each with its file and line. */
function faultsOf(logs: readonly unknown[], folder: string): string {
  const texts = logs.flatMap((log) => (log instanceof AggregateError ? log.errors : [log])).map((log) => faultOf(log, folder))
  return texts.length === 0 ? 'model.ts cannot be bundled' : texts.slice(0, FAULTS_MAX).join('; ')
}

function faultOf(log: unknown, folder: string): string {
  const { message = String(log), position } = log as Partial<BuildMessage>
  if (position === null || position === undefined) return message
  return `${insideOf(folder, position.file)}:${position.line}:${position.column}: ${message}`
}

/** A path as messages show it: relative to the folder of the model, and no path of this machine. */
export function insideOf(folder: string, path: string): string {
  const whole = resolve('/', path)
  if (whole.startsWith(`${folder}/`)) return whole.slice(folder.length + 1)
  const packages = whole.lastIndexOf('/node_modules/')
  return packages === -1 ? 'a file outside of the folder' : whole.slice(packages + 1)
}
