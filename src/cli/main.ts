#!/usr/bin/env bun
import { type Arguments, readArguments } from '../config/arguments.ts'
import { hasSocketsOfSystemd, processEnvironment } from '../config/environment.ts'
import { type Examined, examineSettings, loadSettings, SettingsError } from '../config/load.ts'
import { type Mode, modeOf } from '../config/mode.ts'
import { settingsPage } from '../config/page.ts'
import type { Settings } from '../config/settings.ts'
import { CommandError } from '../core/command-error.ts'
import { reasonOfFile } from '../core/file-reason.ts'
import { printableLines } from '../core/printable.ts'
import { VERSION } from '../core/version.ts'
import { DOCTOR_FLAGS, doctor } from '../doctor/doctor.ts'
import { startEngineProcess } from '../server/cluster/engine-process.ts'
import { HttpProcess } from '../server/cluster/http-process.ts'
import { processCount, rejectClusterFaults, shareLimits } from '../server/cluster/process-settings.ts'
import { supervise } from '../server/cluster/supervise.ts'
import { start } from '../server/start.ts'
import { meantBy } from './action.ts'
import { API_KEYS_ACTIONS, API_KEYS_FLAGS, apiKeys } from './api-keys.ts'
import { AUDIT_FLAGS, audit } from './audit.ts'
import { completion, SHELLS } from './completion.ts'
import { DATABASE_ACTIONS, DATABASE_FLAGS, database } from './database.ts'
import { overview, type VerbHelp, verbHelp } from './help.ts'
import { KEYS_ACTIONS, KEYS_FLAGS, keys } from './keys.ts'
import { MODELS_ACTIONS, MODELS_FLAGS, models } from './models/models.ts'
import { ready } from './ready.ts'
import { TOKEN_FLAGS, token } from './token.ts'
import { USERS_ACTIONS, USERS_FLAGS, users } from './users.ts'

interface Verb extends VerbHelp {
  /** Words that it takes beside its flags; none by default. */
  readonly words?: number
  /** Another verb starts it, and no person. */
  readonly isHidden?: true
  readonly run: (settings: Settings, mode: Mode, args: Arguments, found: Found) => void | Promise<void>
  /** Tells of faults in the settings itself, and runs in spite of them. */
  readonly mayHaveFaults?: true
}

/** The settings with all that is to be known of them. */
interface Found extends Examined {
  /** Reads them again from where they were read. @throws SettingsError */
  readonly read: () => Settings
  /** Everything that stood behind the verb. */
  readonly flags: readonly string[]
}

const VERBS: readonly Verb[] = [
  {
    name: 'start',
    usage: 'start [flags]',
    summary: 'Serve the models.',
    flags: [],
    settings: [
      'host',
      'port',
      'models',
      'model',
      'modelControl',
      'processes',
      'data',
      'keyFile',
      'secret',
      'issuer',
      'audience',
      'tlsCert',
      'tlsKey',
      'database',
      'logFormat',
      'logLevel',
      'accessLog',
    ],
    run: startOrSupervise,
  },
  {
    name: 'process',
    usage: 'process NUMBER COUNT json|pretty [flags]',
    summary: 'One of the processes of `vestal start --processes`, which starts it.',
    flags: [],
    settings: [],
    words: 3,
    isHidden: true,
    run: startHttpProcess,
  },
  {
    name: 'engine-process',
    usage: 'engine-process json|pretty [flags]',
    summary: 'The engine of the processes of `vestal start --processes`, which starts it.',
    flags: [],
    settings: [],
    words: 1,
    isHidden: true,
    run: (_settings, _mode, { words }, { read }) => startEngineProcess(words[0], read),
  },
  {
    name: 'token',
    usage: "token --subject me --permission 'model:*:predict' [flags]",
    summary: 'Print a token that this server accepts.',
    flags: TOKEN_FLAGS,
    settings: ['data', 'keyFile', 'secret', 'algorithm', 'issuer', 'audience', 'host', 'port', 'accessTokenSeconds'],
    run: token,
  },
  {
    name: 'models',
    usage: 'models [list|inspect NAME|load NAME|unload NAME|run NAME --input FILE|check FILE.onnx] [flags]',
    summary: 'List, look at, load, unload, run and check models.',
    flags: MODELS_FLAGS,
    settings: ['models', 'model', 'host', 'port', 'clientToken', 'keyFile', 'data', 'instances', 'threads'],
    actions: MODELS_ACTIONS,
    words: 3,
    run: models,
  },
  {
    name: 'keys',
    usage: 'keys generate|list|rotate|retire KEY_ID|revoke KEY_ID [flags]',
    summary: 'Make, list, rotate, retire and revoke the keys of a key file.',
    flags: KEYS_FLAGS,
    settings: ['keyFile', 'keyPassphrase', 'data', 'algorithm'],
    actions: KEYS_ACTIONS,
    words: 2,
    run: (settings, _mode, args) => keys(settings, args),
  },
  {
    name: 'users',
    usage: 'users add|list|disable|enable|passwd|roles|signout [NAME] [flags]',
    summary: 'Make, list and change accounts.',
    flags: USERS_FLAGS,
    settings: ['data', 'database'],
    actions: USERS_ACTIONS,
    words: 2,
    run: users,
  },
  {
    name: 'api-keys',
    usage: 'api-keys create NAME|list|revoke ID [flags]',
    summary: 'Make, list and revoke keys of programs.',
    flags: API_KEYS_FLAGS,
    settings: ['data', 'database'],
    actions: API_KEYS_ACTIONS,
    words: 2,
    run: apiKeys,
  },
  {
    name: 'audit',
    usage: 'audit [flags]',
    summary: 'Show what happened to accounts, sessions and keys, newest last.',
    flags: AUDIT_FLAGS,
    settings: ['data', 'database', 'auditTo'],
    run: (settings, _mode, args) => audit(settings, args),
  },
  {
    name: 'db',
    usage: 'db migrate|status [flags]',
    summary: 'Migrate the accounts database to this version, or report whether it needs that.',
    flags: DATABASE_FLAGS,
    settings: ['data', 'database'],
    actions: DATABASE_ACTIONS,
    words: 1,
    run: (settings, _mode, args) => database(settings, args),
  },
  {
    name: 'ready',
    usage: 'ready [flags]',
    summary: 'Report whether the server of these settings is ready.',
    flags: [],
    settings: ['host', 'port', 'unix', 'tlsCert'],
    run: (settings) => ready(settings),
  },
  {
    name: 'doctor',
    usage: 'doctor [flags]',
    summary: 'Check settings, files, models and ports, and say what to change.',
    flags: DOCTOR_FLAGS,
    settings: ['host', 'port', 'models', 'data', 'keyFile', 'database', 'redis', 'tlsCert', 'tlsKey'],
    mayHaveFaults: true,
    run: (_settings, mode, args, examined) => doctor({ ...examined, mode, environment: processEnvironment() }, args),
  },
  {
    name: 'settings',
    usage: 'settings',
    summary: 'Print the page of all settings.',
    flags: [],
    settings: [],
    run: () => console.log(settingsPage().trimEnd()),
  },
  {
    name: 'completion',
    usage: 'completion bash|zsh|fish',
    summary: 'Print a script that completes verbs, flags and values.',
    flags: [],
    settings: [],
    actions: SHELLS,
    words: 1,
    run: (_settings, _mode, { words: [shell] }) => completion(SHOWN, shell),
  },
]

/** Starts, but for under socket activation: Bun serves on no socket that is open already, and would open another beside it. */
async function startOrSupervise(
  settings: Settings,
  mode: Mode,
  { configFile }: Arguments,
  { read, flags }: Found,
): Promise<void> {
  if (hasSocketsOfSystemd(processEnvironment(), process.pid)) {
    throw new SettingsError([
      'LISTEN_FDS: systemd hands a socket over, and Bun cannot serve on it; docs/guides/network.md has the units that can',
    ])
  }
  if (processCount(settings) === 1) await start(settings, mode, { read, ...named(configFile) })
  else await supervise(settings, flags)
}

/** `vestal process NUMBER COUNT json|pretty`: the supervisor knows whether people read what it passes on. */
async function startHttpProcess(
  settings: Settings,
  mode: Mode,
  { words, configFile }: Arguments,
  { read }: Found,
): Promise<void> {
  const [number, count, form] = words
  const httpProcess = new HttpProcess(Number(number), Number(count))
  const own = (all: Settings) => {
    // The file may have changed since the supervisor read it.
    rejectClusterFaults(all)
    return shareLimits({ ...all, logFormat: form === 'pretty' ? 'pretty' : 'json' }, httpProcess.count)
  }
  await start(own(settings), mode, { httpProcess, read: () => own(read()), ...named(configFile) })
}

const SHOWN = VERBS.filter(({ isHidden }) => isHidden !== true)
/** Words of other programs, by what they are called here. */
const SYNONYMS = {
  start: ['serve', 'run', 'up', 'server'],
  token: ['jwt', 'sign'],
  keys: ['key', 'keygen'],
  audit: ['log', 'logs'],
  db: ['database', 'migrate'],
  ready: ['health', 'status', 'ping', 'readiness'],
  doctor: ['check', 'diagnose', 'info'],
  settings: ['config', 'env'],
} as const

function unknownVerb(args: readonly string[]): string {
  const [name = ''] = args
  const shown = JSON.stringify(name.slice(0, 60))
  const actions = SHOWN.map((verb) => verb.name)
  if (name.startsWith('-')) {
    const verb = args.find((word) => actions.includes(word))
    return `${shown}: is not a verb, which comes before its flags${verb === undefined ? '' : `: vestal ${verb} ${name.slice(0, 60)} …`}; vestal --help lists them`
  }
  const meant = meantBy(name, { actions, synonyms: SYNONYMS as Readonly<Record<string, readonly string[]>> })
  return `${shown}: is not a verb; vestal --help lists them${meant === undefined ? '' : `; did you mean ${meant}?`}`
}

/** The file of settings, where a flag or the environment names it. */
function named(flag: string | undefined): { readonly configFile?: string } {
  const configFile = flag ?? (processEnvironment().VESTAL_CONFIG || undefined)
  return configFile === undefined ? {} : { configFile }
}

/** Exit code where what was asked cannot be: settings, flags, verbs. */
const EXIT_USAGE = 2

async function main(args: readonly string[]): Promise<void> {
  const [name, ...rest] = args
  if (name === 'help' && VERBS.some((verb) => verb.name === rest[0])) return main([...rest, '--help'])
  if (name === undefined || name === '--help' || name === '-h' || name === 'help')
    return void process.stdout.write(overview(SHOWN))
  if (name === '--version' || name === '-v' || name === '-V' || name === 'version') return console.log(VERSION)
  const verb = VERBS.find((candidate) => candidate.name === name)
  if (verb === undefined) throw new SettingsError([unknownVerb(args)])
  const given = readArguments(rest, verb.flags, verb.words)
  if (given.isHelp) return void process.stdout.write(verbHelp(verb, { isAll: rest.includes('--all') }))
  const environment = processEnvironment()
  const sources = {
    flags: given.settings,
    faults: given.faults,
    environment,
    directory: process.cwd(),
    ...(given.configFile !== undefined && { configFile: given.configFile }),
  }
  const examined = examineSettings(sources)
  const { settings, warnings, faults } = examined
  if (faults.length > 0 && (verb.mayHaveFaults !== true || given.faults.length > 0)) throw new SettingsError(faults)
  if (verb.mayHaveFaults !== true && verb.isHidden !== true) for (const warning of warnings) console.error(`warning: ${warning}`)
  const found = { ...examined, read: () => loadSettings(sources).settings, flags: rest }
  await verb.run(settings, modeOf(settings, environment), given, found)
}

/** A file, a folder or a pipe that the system does not give: no bug, and no stack for who reads. */
function isOfSystem(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error && 'code' in error && 'path' in error
}

try {
  await main(process.argv.slice(2))
} catch (error) {
  if (error instanceof CommandError) {
    console.error(printableLines(error.message))
    process.exit(1)
  }
  if (isOfSystem(error)) {
    console.error(`${error.path ?? 'a file'}: cannot be used: ${reasonOfFile(error)}`)
    process.exit(1)
  }
  if (!(error instanceof SettingsError)) throw error
  for (const fault of error.faults) console.error(printableLines(fault))
  process.exitCode = EXIT_USAGE
  // What a supervisor may still say would keep its process alive.
  if (process.connected === true) process.exit()
}
