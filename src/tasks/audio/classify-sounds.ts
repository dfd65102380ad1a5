import { VestalError } from '../../core/errors.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import { breathe } from '../breath.ts'
import type { TaskCall } from '../call.ts'
import { checkCount, named } from '../items.ts'
import { type Activation, activated, bestFirst, type LabelScore, scoresIn } from '../scores.ts'
import type { AudioInput } from '../task.ts'
import { resample } from './resample.ts'
import { readWav } from './wav.ts'

export interface ClassifySoundsOptions {
  /** Labels of an answer; default all. */
  readonly topK?: number | undefined
  /** Default as the model's folder says. */
  readonly activation?: Activation | undefined
}

/** What keeps the variance of silence from being divided by. */
const LEAST_VARIANCE = 1e-7
/** Samples that are summed without letting others in. */
const SUMMED_AT_ONCE = 32_768

/**
 * Gives the labels of each WAV file with their scores, best first. Each is a request of one row.
 * @throws VestalError TASK_MISMATCH, INPUTS_TOO_MANY; INPUT_INVALID, which names the sound; and as the engine
 */
export async function classifySounds(
  call: TaskCall,
  sounds: readonly Uint8Array[],
  { topK, activation }: ClassifySoundsOptions = {},
): Promise<readonly (readonly LabelScore[])[]> {
  const { task, audio, scores } = call.task
  if (audio === undefined || scores === undefined)
    throw new VestalError('TASK_MISMATCH', { detail: `The model is for the task ${task}; this asks for audio-classify` })
  if (sounds.length === 0) throw new VestalError('INPUT_INVALID', { detail: 'The request has no sound' })
  checkCount(sounds.length, 'sound', call.limits?.itemsMax)
  const work = async (sound: Uint8Array, index: number) => {
    const tensor = await prepared(sound, { call, audio, index, count: sounds.length })
    if (call.signal?.aborted === true) throw new VestalError('REQUEST_ABORTED')
    const outputs = await call.infer(new Map([[audio.input, tensor]]), { outputs: [scores.output] })
    const values = activated(scoresIn(outputs, scores), activation ?? scores.activation)
    return bestFirst(scores.labels, values).slice(0, topK)
  }
  return Promise.all(sounds.map(work))
}

interface Preparing {
  readonly call: TaskCall
  readonly audio: AudioInput
  /** Of the sound among those of its request. */
  readonly index: number
  readonly count: number
}

/** The input of the model for one WAV file. */
async function prepared(bytes: Uint8Array, { call, audio, index, count }: Preparing): Promise<Tensor> {
  const { rate, secondsMax, isNormalized, input } = audio
  const failed = (error: unknown) => {
    throw named(error, { media: 'sound', index, count })
  }
  const sound = await readWav(bytes, { secondsMax }).catch(failed)
  call.hold?.(sound.samples.byteLength)
  const samples = await resample(sound, rate).catch(failed)
  call.hold?.(samples.byteLength)
  const values = isNormalized ? await normalized(samples) : samples
  const isHalf = call.inputs.find(({ name }) => name === input)?.datatype === 'FP16'
  const shape = [1, values.length]
  return isHalf ? { datatype: 'FP16', shape, data: new Float16Array(values) } : { datatype: 'FP32', shape, data: values }
}

/** With mean 0 and variance 1, as Hugging Face's feature extractors do it. */
async function normalized(samples: Float32Array): Promise<Float32Array> {
  const mean = (await summed(samples, (value) => value)) / samples.length
  const variance = (await summed(samples, (value) => (value - mean) ** 2)) / samples.length
  const scale = 1 / Math.sqrt(variance + LEAST_VARIANCE)
  return samples.map((value) => (value - mean) * scale)
}

async function summed(samples: Float32Array, of: (value: number) => number): Promise<number> {
  let sum = 0
  for (let begin = 0; begin < samples.length; begin += SUMMED_AT_ONCE) {
    for (const value of samples.subarray(begin, begin + SUMMED_AT_ONCE)) sum += of(value)
    await breathe()
  }
  return sum
}
