import type { TrustedIssuer } from '../auth/issuers.ts'
import type { Mode } from '../config/mode.ts'
import type { Settings } from '../config/settings.ts'
import type { Palette } from '../core/palette.ts'
import { VERSION } from '../core/version.ts'
import { wrapped } from '../core/wrap.ts'
import type { Engine, Model } from '../inference/engine.ts'
import { isOff } from '../inference/repository/describe.ts'
import { type SignatureBackend, type SignatureBackendOption, signatureBackends } from '../jose/signature-backends.ts'
import type { ServedAccounts } from './accounts.ts'
import type { LiveKeys } from './live-keys.ts'
import { tryLines } from './try-lines.ts'

export interface Announced {
  readonly mode: Mode
  readonly keys: LiveKeys
  readonly issuers: readonly TrustedIssuer[]
  readonly engine: Engine
  readonly accounts?: ServedAccounts
  readonly settings: Settings
  /** The file of settings, where the command line names it. */
  readonly configFile?: string
}

interface Screen {
  readonly palette: Palette
  /** Width of the terminal; undefined where it is none. */
  readonly columns: number | undefined
}

const [COLUMNS, COLUMNS_MIN, COLUMNS_MAX] = [80, 40, 100]
/** The column of the values. */
const VALUE_AT = 14
/** Lines of names of models; more models are counted. */
const NAME_LINES_MAX = 3
const BROKEN_MAX = 10

/** What a terminal shows once the server listens: its address, its models, and commands to copy. */
export function startScreen(base: string, announced: Announced, { palette, columns = COLUMNS }: Screen): string {
  const { mode, keys, issuers, engine, settings } = announced
  const width = Math.max(COLUMNS_MIN, Math.min(columns, COLUMNS_MAX)) - VALUE_AT
  const { bold, cyan, yellow } = palette
  const { description, signing } = keys.current()
  const isOpen = mode === 'development' && signing !== undefined
  const rows: readonly (readonly [name: string, lines: readonly string[]])[] = [
    ...docsRow(base, announced, cyan),
    ['Mode', isOpen ? wrapped(DEVELOPMENT, width).map(yellow) : [mode]],
    ['Keys', wrapped([description, ...issuers.map(({ name }) => `the issuer ${name}`)].join(', '), width)],
    ['Signatures', wrapped(describeBackends(settings.signatureBackend), width)],
    ['Models', modelLines(engine, width, palette)],
  ]
  const table = rows.map(
    ([name, lines]) => `  ${palette.dim(name.padEnd(VALUE_AT - 2))}${lines.join(`\n${' '.repeat(VALUE_AT)}`)}`,
  )
  const screen = `${bold(`Vestal ${VERSION}`)} listens on ${cyan(base)}\n\n${table.join('\n')}\n`
  return isOpen ? `${screen}\n${tryBlock(base, announced, palette)}` : screen
}

const DEVELOPMENT =
  'development: POST /auth/ gives any program on this machine a token without a password, until the first account is created'

/** A browser cannot open a Unix socket. */
function docsRow(
  base: string,
  { settings }: Announced,
  cyan: Palette['cyan'],
): readonly (readonly [string, readonly string[]])[] {
  if (base.startsWith('unix:') || settings.docsPage === 'off') return []
  return [['Docs', [cyan(`${reachable(base)}/docs/`)]]]
}

/** No client connects to an address that means every address of this machine. */
function reachable(base: string): string {
  return base.replace('//0.0.0.0:', '//127.0.0.1:').replace('//[::]:', '//[::1]:')
}

function tryBlock(base: string, { settings, engine, configFile }: Announced, { bold }: Palette): string {
  const lines = tryLines({ base, settings, engine, ...(configFile !== undefined && { configFile }) })
  const shown = lines.length === 0 ? ['# a client certificate is needed; docs/guides/network.md has more'] : lines
  return `${bold('Try, in another terminal:')}\n${shown.map((line) => `  ${line}`).join('\n')}\n`
}

/** Ready models by name, and each that cannot be served with its reason. */
function modelLines(engine: Engine, width: number, { yellow }: Palette): readonly string[] {
  const models = engine.models()
  const ready = models.filter(isServed)
  const wanted = models.filter(({ versions }) => !versions.every(isOff)).length
  const names = wrapped(ready.map(({ name }) => name).join(', '), width)
  const listed = names.slice(0, NAME_LINES_MAX)
  const more = ready.length - listed.join(' ').split(', ').filter(Boolean).length
  const broken = brokenVersions(engine)
  const count = wanted === 0 ? 'none' : `${ready.length} of ${wanted} ready`
  return [
    count,
    ...listed,
    ...(names.length > NAME_LINES_MAX ? [`and ${more} more`] : []),
    ...broken
      .slice(0, BROKEN_MAX)
      .flatMap(({ name, version, reason }) => wrapped(`${name} ${version}: ${reason}`, width).map(yellow)),
    ...(broken.length > BROKEN_MAX ? [yellow(`and ${broken.length - BROKEN_MAX} more that cannot be served`)] : []),
  ]
}

const BACKENDS: Readonly<Record<SignatureBackend, string>> = {
  native: 'native (Rust, @node-rs/jsonwebtoken)',
  boring: 'boring (BoringSSL in Bun)',
  wasm: 'wasm (RustCrypto in WebAssembly)',
}

/** The backends that check signatures, by algorithm where they differ; the most common one is "the rest". */
export function describeBackends(option: SignatureBackendOption): string {
  const { algorithms } = signatureBackends(option)
  const groups = Map.groupBy(Object.entries(algorithms), ([, backend]) => backend)
  if (groups.size === 1) return [...groups.keys()].map((backend) => BACKENDS[backend]).join('')
  const [rest, ...others] = [...groups].sort(([, left], [, right]) => right.length - left.length)
  const named = others.map(([backend, rows]) => `${rows.map(([name]) => name).join(', ')}: ${BACKENDS[backend]}`)
  return [...named, ...(rest === undefined ? [] : [`the rest: ${BACKENDS[rest[0]]}`])].join('; ')
}

/** Whether a version of the model serves. */
export function isServed({ versions }: Model): boolean {
  return versions.some(({ state }) => state === 'ready')
}

/** Versions that do not serve and were not unloaded on purpose. */
export function brokenVersions(engine: Engine) {
  return engine.models().flatMap(({ name, versions }) =>
    versions
      .filter((version) => version.state !== 'ready' && !isOff(version))
      .map(({ version, state, reason }) => ({
        name,
        version,
        reason: reason ?? (state === 'loading' ? 'it is still loading' : `it is ${state}`),
      })),
  )
}
