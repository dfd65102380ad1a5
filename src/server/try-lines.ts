import { isPackageScript, processEnvironment } from '../config/environment.ts'
import { flagOf, SETTINGS, type SettingName, type Settings } from '../config/settings.ts'
import type { Engine, Model } from '../inference/engine.ts'

export interface TryOptions {
  /** Where the server listens: `http://127.0.0.1:8000`. */
  readonly base: string
  readonly settings: Settings
  readonly engine: Engine
  /** A file of settings that `vestal token` does not find without `--config`. */
  readonly configFile?: string
}

/** Settings that decide which token a server accepts; the port, since `vestal token` asks the server there. */
const TOKEN_SETTINGS = [
  'data',
  'keyFile',
  'algorithm',
  'issuer',
  'audience',
  'tokenType',
  'interop',
  'tokenSecondsMax',
  'host',
  'tlsCert',
] as const satisfies readonly SettingName[]
const BODY_LENGTH_MAX = 400
/** Continues in the next line, so that lines fit a narrow terminal. */
const CONTINUED = ' \\\n    '

/** Commands that work in another terminal, in the folder that the server was started in. */
export function tryLines(options: TryOptions): readonly string[] {
  const { base, settings, engine } = options
  const { headerKey, headerPrefix, tlsClientCa, requiredClaim } = settings
  // The server does not have the certificate of a client.
  if (tlsClientCa !== undefined) return []
  const curl = curlOf(settings)
  const lines = [`${curl} ${base}/public/info/`]
  const model = modelToTry(engine)
  if (model === undefined || requiredClaim.length > 0) return lines
  const body = bodyFor(model)
  const permission = body === undefined ? model.permissions.read : model.permissions.predict
  const header = `-H "${headerKey}: ${headerPrefix} $TOKEN"`
  const path = `${base}/models/${model.name}/`
  return [
    ...lines,
    ...secretHint(settings),
    `TOKEN=$(${tokenCommand(options)} --subject me --permission ${quoted(patternOf(permission, model))})`,
    body === undefined ? `${curl} ${path} ${header}` : [`${curl} ${path}predict/`, header, `-d ${quoted(body)}`].join(CONTINUED),
  ]
}

function curlOf({ tlsCert, allowedHosts: [name] }: Settings): string {
  // The certificate is for public names and not for loopback.
  const tls = tlsCert === undefined ? '' : ' --insecure'
  return `curl${tls}${name === undefined ? '' : ` -H ${quoted(`Host: ${name}`)}`}`
}

/** The bundled iris, else a model with an example, else any that serves. */
function modelToTry(engine: Engine): Model | undefined {
  const ready = engine.models().filter(({ versions }) => versions.some(({ state }) => state === 'ready'))
  return ready.find((model) => model.name === 'iris' && bodyFor(model) !== undefined) ?? ready.find(bodyFor) ?? ready[0]
}

/** The body of the model's first example. */
function bodyFor({ examples: [example] }: Model): string | undefined {
  const text = example === undefined ? undefined : JSON.stringify({ input: example })
  return text === undefined || text.length > BODY_LENGTH_MAX ? undefined : text
}

/** `model:*:predict` for a permission of that form: the token is then good for every model without a rule of its own. */
function patternOf(permission: string, { name }: Model): string {
  return permission === `model:${name}:predict` ? 'model:*:predict' : permission
}

/** A hint where the key is in the environment of this process only. */
function secretHint({ secret, key, keyPassphrase }: Settings): readonly string[] {
  const environment = processEnvironment()
  const names = [
    ...(secret === undefined ? [] : ['VESTAL_SECRET']),
    ...(key === undefined ? [] : ['VESTAL_KEY']),
    ...(keyPassphrase === undefined ? [] : ['VESTAL_KEY_PASSPHRASE']),
  ].filter((name) => environment[name] !== undefined)
  return names.length === 0 ? [] : [`# where ${names.join(' and ')} is set as for this server:`]
}

function tokenCommand({ settings, base, configFile }: TryOptions): string {
  const flags = TOKEN_SETTINGS.flatMap((name) => {
    const [value, usual]: [unknown, unknown] = [settings[name], SETTINGS[name].default]
    if (value === undefined || Bun.deepEquals(value, usual)) return []
    return (Array.isArray(value) ? value : [value]).map((each) => `${flagOf(name)} ${quoted(String(each))}`)
  })
  const { port } = new URL(base)
  const usualPort = String(SETTINGS.port.default)
  const words = [
    ...programOf(),
    'token',
    ...(configFile === undefined ? [] : [`--config ${quoted(configFile)}`]),
    ...flags,
    ...(port === usualPort ? [] : [`--port ${port === '' ? '80' : port}`]),
  ]
  return words.join(' ')
}

/** The command that starts this program. */
function programOf(): readonly string[] {
  if (Bun.isStandaloneExecutable) return [quoted(process.execPath)]
  if (isPackageScript(processEnvironment())) return ['bun run --silent']
  return /[\\/]node_modules[\\/]/.test(Bun.main) ? ['bunx vestal'] : ['bun', quoted(Bun.main)]
}

/** A word of a POSIX shell. */
function quoted(text: string): string {
  return /^[\w./:@%+=,-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
}
