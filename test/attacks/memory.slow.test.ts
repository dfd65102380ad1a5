import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type StartedServer, Workplace } from '../support/command-line.ts'
import {
  type Attack,
  bombs,
  membersAgain,
  sizedModel,
  slowReaders,
  sockets,
  stalledUploads,
  type Victim,
} from '../support/memory-attacks.ts'
import { MODELS } from '../support/server.ts'
import { SECRET, tokenWith } from '../support/tokens.ts'
import { until } from '../support/until.ts'

const MIB = 2 ** 20
/** What is held for one subject by default, and as much again for garbage that is not collected yet, buffers and what parsing takes. */
const GROWTH_MAX = 600 * MIB
const ROW = '{"input":[[5.1,3.5,1.4,0.2]]}'

const place = new Workplace()
let server: StartedServer
let victim: Victim
const other = { authorization: `Bearer ${tokenWith(['model:*:predict', 'metrics:read'], { sub: 'bob' })}` }

beforeAll(async () => {
  const models = join(place.folder, 'models')
  await Bun.write(join(models, 'sized/1/model.onnx'), sizedModel())
  await Bun.write(join(models, 'iris/1/model.onnx'), Bun.file(join(MODELS, 'iris/1/model.onnx')))
  server = await place.start([], { VESTAL_SECRET: SECRET, VESTAL_MODELS: models, VESTAL_ACCESS_LOG: 'failures' })
  victim = {
    port: Number(new URL(server.base).port),
    authorization: `Bearer ${tokenWith(['model:*:predict'], { sub: 'mallory' })}`,
  }
})

afterAll(async () => {
  server.child.kill('SIGKILL')
  await server.child.exited
  place[Symbol.dispose]()
})

/** The most that the server's process has held since the last call; 0 where the system does not say. */
function peakBytes(): number {
  const status = `/proc/${server.child.pid}/status`
  if (!existsSync(status)) return 0
  const peak = Number(/VmHWM:\s+(\d+)/.exec(readFileSync(status, 'utf8'))?.[1] ?? 0) * 1024
  writeFileSync(`/proc/${server.child.pid}/clear_refs`, '5')
  return peak
}

async function predict(): Promise<number> {
  const response = await fetch(`${server.base}/models/iris/predict/`, { method: 'POST', headers: other, body: ROW })
  await response.text()
  return response.status
}

async function heldBytes(): Promise<number> {
  const text = await (await fetch(`${server.base}/metrics`, { headers: other })).text()
  return Number(/^vestal_held_bytes (\d+)/m.exec(text)?.[1] ?? Number.NaN)
}

/** Answers of the other subject for as long as an attack gets under way. */
async function othersDuring(attack: Attack): Promise<readonly number[]> {
  const answers: number[] = []
  let isUnderWay = false
  void attack.isUnderWay.then(() => {
    isUnderWay = true
  })
  while (!isUnderWay || answers.length < 20) answers.push(await predict())
  return answers
}

const counted = (statuses: readonly number[], status: number) => statuses.filter((each) => each === status).length

const ATTACKS: readonly {
  readonly what: string
  readonly begin: (victim: Victim) => Attack
  readonly check: (statuses: readonly number[]) => void
}[] = [
  {
    what: '40 bodies of 64 KB that expand to 63 MiB',
    begin: (who) => bombs(who, 40),
    check: (statuses) => expect([counted(statuses, 413) + counted(statuses, 429), statuses.length]).toEqual([40, 40]),
  },
  {
    // What is rejected half expanded is garbage that the collector knows nothing of until it looks.
    what: '128 bodies of 60 gzip members that expand to 480 MiB, 16 at a time',
    begin: (who) => membersAgain(who, { clients: 16, rounds: 8 }),
    check: (statuses) => expect([counted(statuses, 413) + counted(statuses, 429), statuses.length]).toEqual([128, 128]),
  },
  {
    what: '16 uploads that stall at 59 of 60 MiB',
    begin: (who) => stalledUploads(who, { count: 16, mebibytes: 60 }),
    // Four of them are a quarter of 1 GiB.
    check: (statuses) => expect([counted(statuses, 0), counted(statuses, 429)]).toEqual([4, 12]),
  },
  {
    what: '200 clients that do not read answers of 8 MB',
    begin: (who) => slowReaders(who, { count: 200, answerBytes: 8_000_000 }),
    check: (statuses) => {
      expect(statuses.filter((status) => status !== 200 && status !== 429)).toEqual([])
      expect(counted(statuses, 200)).toBeLessThanOrEqual(34)
    },
  },
  {
    what: '500 idle WebSockets',
    begin: (who) => sockets(who, { count: 500 }),
    check: (statuses) => expect([counted(statuses, 101), counted(statuses, 429)]).toEqual([248, 252]),
  },
  {
    what: '500 WebSockets that stall within a message',
    begin: (who) => sockets(who, { count: 500, messageBytes: 1_000_000 }),
    check: (statuses) => expect([counted(statuses, 101), counted(statuses, 429)]).toEqual([248, 252]),
  },
]

describe('the memory of one subject is limited, and another is answered, during', () => {
  for (const { what, begin, check } of ATTACKS) {
    test(what, async () => {
      await predict()
      peakBytes()
      const before = peakBytes()
      const attack = begin(victim)
      try {
        const others = await othersDuring(attack)
        expect(counted(others, 200)).toBe(others.length)
        check(attack.statuses())
        expect(await heldBytes()).toBeLessThanOrEqual(256 * MIB)
      } finally {
        attack.stop()
      }
      // Whatever became of it, all of it is released.
      await until(async () => (await heldBytes()) === 0)
      expect(peakBytes() - before).toBeLessThan(GROWTH_MAX)
    }, 60_000)
  }
})
