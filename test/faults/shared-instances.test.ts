import { describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Workplace } from '../support/command-line.ts'
import { factorModel, put } from '../support/factor-model.ts'
import { childrenOf, HAS_PROCESSES, isRunning, until } from '../support/processes.ts'
import { bearer, SECRET } from '../support/tokens.ts'

const TEST_MS = 120_000
const COUNT = 20
const FACTORS = Array.from({ length: COUNT }, (_, index) => index + 2)
const nameOf = (factor: number) => `times-${factor}`

async function ask(base: string, path: string, body?: string): Promise<Response> {
  return fetch(`${base}${path}`, { ...(body !== undefined && { method: 'POST', body }), headers: bearer('*') })
}

/** What a model gives for 1. */
async function answerOf(base: string, name: string): Promise<unknown> {
  const body = JSON.stringify({ inputs: [{ name: 'x', shape: [1], datatype: 'FP32', data: [1] }] })
  const response = await ask(base, `/v2/models/${name}/infer`, body)
  // The cast: an answer of the inference protocol.
  const { outputs } = (await response.json()) as { readonly outputs?: readonly { readonly data: readonly number[] }[] }
  return outputs?.[0]?.data[0] ?? response.status
}

function workersBelow(pid: number): readonly number[] {
  return childrenOf(pid).flatMap((child) => [
    ...(child.command.some((word) => word.endsWith('instance/main.ts')) ? [child.pid] : []),
    ...workersBelow(child.pid),
  ])
}

for (const processes of ['1', '2'])
  describe.skipIf(!HAS_PROCESSES)(
    `a server of ${processes} with ${COUNT} models that share a process, and one that does not`,
    () => {
      test(
        'has two workers, and all models back once one was killed',
        async () => {
          using place = new Workplace()
          const models = mkdtempSync(join(tmpdir(), 'vestal-shared-'))
          for (const factor of FACTORS) await put(models, `${nameOf(factor)}/1/model.onnx`, factorModel(factor))
          for (const factor of FACTORS)
            writeFileSync(join(models, nameOf(factor), 'model.toml'), '[serving]\nisolation = "shared"')
          await put(models, 'alone/1/model.onnx', factorModel(100))
          const environment = { VESTAL_SECRET: SECRET, VESTAL_MODELS: models }
          const server = await place.start(['--processes', processes, '--model-control', 'explicit'], environment)
          const { base } = server
          const answers = () => Promise.all(FACTORS.map((factor) => answerOf(base, nameOf(factor))))
          const workers = () => workersBelow(server.child.pid)

          expect(await answers()).toEqual(FACTORS)
          expect(await answerOf(base, 'alone')).toBe(100)
          expect(workers()).toHaveLength(2)
          const listed = place.run(['models', 'list', '--url', base], environment).stdout.split('\n')
          expect(listed.filter((line) => /^times-.* ready, in the shared process /.test(line))).toHaveLength(COUNT)
          expect(listed.filter((line) => /^alone .* ready {2}/.test(line))).toHaveLength(1)

          expect((await ask(base, '/v2/repository/models/times-2/unload', '{}')).status).toBe(200)
          expect(await answers()).toEqual([404, ...FACTORS.slice(1)])
          expect((await ask(base, '/v2/repository/models/times-2/load', '{}')).status).toBe(200)
          expect(workers()).toHaveLength(2)

          for (const pid of workers()) process.kill(pid, 'SIGKILL')
          await until(async () =>
            (await Promise.all(FACTORS.map(async (factor) => (await answerOf(base, nameOf(factor))) === factor))).every(Boolean),
          )
          expect(await answers()).toEqual(FACTORS)
          expect(await answerOf(base, 'alone')).toBe(100)
          const last = workers()
          expect(last).toHaveLength(2)

          server.child.kill('SIGTERM')
          expect(await server.child.exited).toBe(0)
          await until(() => !last.some(isRunning), 'the workers are gone')
          rmSync(models, { recursive: true })
        },
        TEST_MS,
      )
    },
  )
