import { expect, test } from 'bun:test'
import { SYSTEM_CLOCK } from '../../../src/core/clock.ts'

const FILE = `${import.meta.dir}/../../../src/core/clock.ts`

/** What a process writes that ends as soon as nothing keeps it. */
async function written(statement: string): Promise<string> {
  const code = `import { SYSTEM_CLOCK as clock } from ${JSON.stringify(FILE)}\n${statement}`
  const child = Bun.spawn([process.execPath, '-e', code], { stdout: 'pipe', stderr: 'pipe' })
  return (await new Response(child.stdout).text()).trim()
}

test('a wait keeps no process alive, unless it is asked to', async () => {
  const wake = "clock.now() + 100, () => console.log('woken')"
  const [left, kept] = await Promise.all([written(`clock.at(${wake})`), written(`clock.at(${wake}, { keepsAlive: true })`)])
  expect([left, kept]).toEqual(['', 'woken'])
})

test('a wait is called off, a time that is over comes at once, and one that is years ahead does not', async () => {
  const { now, soon, at } = SYSTEM_CLOCK
  const woken: string[] = []
  at(now() + 1, () => woken.push('off'))()
  const callOff = at(now() + 1e12, () => woken.push('years'))
  const past = Promise.withResolvers<void>()
  at(now() - 1000, past.resolve)
  await past.promise
  const next = Promise.withResolvers<void>()
  at(now() + 5, next.resolve, { keepsAlive: true })
  await next.promise
  const turn = Promise.withResolvers<void>()
  soon(turn.resolve)
  await turn.promise
  callOff()
  expect(woken).toEqual([])
})
