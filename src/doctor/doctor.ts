import type { Arguments, FlagRow } from '../config/arguments.ts'
import { lookAtClock } from './clock.ts'
import { lookAtDatabase, lookAtRedis } from './database.ts'
import { lookAtFiles } from './files.ts'
import { type Check, type Finding, messageOf, type Subject, wrong } from './finding.ts'
import { lookAtKeys, lookAtTls } from './keys.ts'
import { lookAtBun, lookAtDisk, lookAtOpenFiles, lookAtResources } from './machine.ts'
import { lookAtModels } from './models.ts'
import { lookAtPorts } from './ports.ts'
import { lookAtAddon, lookAtRuntime, lookAtTelemetry } from './runtime.ts'
import { lookAtSettings } from './settings.ts'

export const DOCTOR_FLAGS: readonly FlagRow[] = [{ name: 'json', help: 'Print JSON in place of lines.' }]

/** In the order in which one would mend things. */
const CHECKS: readonly Check[] = [
  { name: 'settings', look: lookAtSettings },
  { name: 'bun', look: (subject) => lookAtBun(subject) },
  { name: 'files', look: lookAtFiles },
  { name: 'keys', look: lookAtKeys },
  { name: 'tls', look: lookAtTls },
  { name: 'database', look: lookAtDatabase },
  { name: 'redis', look: lookAtRedis },
  { name: 'telemetry', look: lookAtTelemetry },
  { name: 'addon', look: lookAtAddon },
  { name: 'runtime', look: lookAtRuntime },
  { name: 'models', look: lookAtModels },
  { name: 'resources', look: (subject) => lookAtResources(subject) },
  { name: 'disk', look: (subject) => lookAtDisk(subject) },
  { name: 'open files', look: (subject) => lookAtOpenFiles(subject) },
  { name: 'clock', look: lookAtClock },
  { name: 'ports', look: lookAtPorts },
]

interface Named {
  readonly check: string
  readonly finding: Finding
}

/** `vestal doctor`: looks at everything that a start needs, says what to do, and changes nothing. Exit code 1 where there is something to do. */
export async function doctor(subject: Subject, { switches }: Arguments): Promise<void> {
  const named: Named[] = []
  for (const { name, look } of CHECKS) {
    const findings = await lookOrSay(look, subject)
    named.push(...findings.map((finding) => ({ check: name, finding })))
  }
  const count = named.filter(({ finding }) => finding.level === 'wrong').length
  console.log(switches.has('json') ? asJson(named, count) : asLines(named, count))
  if (count > 0) process.exitCode = 1
}

/** A check that throws is a finding as well: the others continue. */
async function lookOrSay(look: Check['look'], subject: Subject): Promise<readonly Finding[]> {
  try {
    return await look(subject)
  } catch (error) {
    return [wrong(`it cannot be looked at: ${messageOf(error)}`, 'Report it, with what `vestal doctor --json` prints.')]
  }
}

function asJson(named: readonly Named[], toDo: number): string {
  return JSON.stringify({ toDo, findings: named.map(({ check, finding }) => ({ check, ...finding })) }, null, 2)
}

const SHOWN = { right: 'right', note: 'note ', wrong: 'WRONG' } as const
const INDENT = ' '.repeat(19)

function asLines(named: readonly Named[], count: number): string {
  const lines = named.map(({ check, finding }) => {
    const first = `${SHOWN[finding.level]}  ${check.padEnd(10)}  ${finding.message.replaceAll('\n', `\n${INDENT}`)}`
    return finding.level === 'wrong' ? `${first}\n${INDENT}→ ${finding.todo.replaceAll('\n', `\n${INDENT}  `)}` : first
  })
  const end = count === 0 ? 'Nothing to do.' : `${count} ${count === 1 ? 'thing' : 'things'} to do.`
  return [...lines, '', end].join('\n')
}
