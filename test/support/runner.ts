import { instanceCommand, startInstanceProcess } from '../../src/inference/instance/instance-process.ts'
import { SharedInstances } from '../../src/inference/instance/shared-instances.ts'
import { Admission } from '../../src/inference/queue/admission.ts'
import { createStartRunner, type ModelRunner, type RunnerOptions, type RunnerSource } from '../../src/inference/runner.ts'
import { ModelCounters } from '../../src/inference/statistics.ts'

/** A model file on a worker process of its own, with what a test wants of it. */
export function startRunner(
  source: Pick<RunnerSource, 'path'> & Partial<RunnerSource>,
  options: Partial<RunnerOptions> = {},
): Promise<ModelRunner> {
  const limits = { requestsMax: 100_000, subjectRequestsMax: 100_000, bytesMax: 2 ** 30, subjectBytesMax: 2 ** 30 }
  const startInstance: RunnerOptions['startInstance'] = (events) => startInstanceProcess(instanceCommand(), events)
  const start = createStartRunner({
    admission: new Admission(limits),
    cores: 1,
    queueMax: 10_000,
    timeoutMs: 60_000,
    runMsMax: 60_000,
    loadMsMax: 60_000,
    memoryBytesMax: 2 ** 40,
    cacheBytesMax: 2 ** 20,
    warn: () => undefined,
    runtimeText: () => undefined,
    startInstance,
    shared: new SharedInstances(startInstance),
    ...options,
  })
  return start({ key: 'model/1', settings: {}, counters: new ModelCounters(), ...source })
}
