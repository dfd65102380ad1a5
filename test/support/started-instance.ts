import { type InstanceProcess, instanceCommand, startInstanceProcess } from '../../src/inference/instance/instance-process.ts'
import type { FromInstance } from '../../src/inference/instance/messages.ts'

/** How a test's instance loads its model. */
export const OPTIONS = { threads: 1, arena: true, optimization: 'all' } as const
const started: InstanceProcess[] = []

/** Kills what `startInstance` has started, for `afterAll` of each file. */
export async function stopInstances(): Promise<void> {
  for (const each of started) each.kill('stopped', 'the test is over')
  await Promise.all(started.splice(0).map(({ gone }) => gone))
}

/** Starts an instance process, which `stopInstances` kills; `answer` resolves with its next message. */
export function startInstance() {
  const waiting: ((message: FromInstance) => void)[] = []
  const ended = Promise.withResolvers<string>()
  const instance = startInstanceProcess(instanceCommand(), {
    message: (message) => waiting.shift()?.(message),
    ended: ({ cause }) => ended.resolve(cause),
  })
  started.push(instance)
  const answer = () => new Promise<FromInstance>((resolve) => waiting.push(resolve))
  return { instance, answer, ended: ended.promise }
}

/** Rows of the bundled digits model's input. */
export const image = (rows: number) =>
  ({ datatype: 'FP32', shape: [rows, 64], data: new Float32Array(rows * 64).fill(3) }) as const
