import { describe, expect, test } from 'bun:test'
import { VestalError } from '../../../../src/core/errors.ts'
import { classifySounds } from '../../../../src/tasks/audio/classify-sounds.ts'
import { resample } from '../../../../src/tasks/audio/resample.ts'
import { readWav } from '../../../../src/tasks/audio/wav.ts'
import { chunkOf, type WavOptions, wavOf } from '../../../support/sounds.ts'
import scipy from './resampled.json'

const LIMITS = { secondsMax: 10 }
const read = (bytes: Uint8Array, limits = LIMITS) => readWav(bytes, limits)
const reason = async (bytes: Uint8Array, limits = LIMITS) => {
  try {
    await readWav(bytes, limits)
    return 'read'
  } catch (error) {
    return String((error as Error & { detail?: unknown }).detail)
  }
}
/** Those that each size has exactly. */
const SAMPLES = [0, 0.5, -0.5, -1, 0.25, -0.125, 0.75]

describe('a WAV file', () => {
  const forms: readonly WavOptions[] = [
    ...[8, 16, 24, 32].map((bits) => ({ bits })),
    ...[32, 64].map((bits) => ({ tag: 3, bits })),
    { bits: 16, isExtensible: true },
    { tag: 3, bits: 32, isExtensible: true },
    { isReversed: true },
    { before: chunkOf('LIST', Buffer.from('odd')), after: chunkOf('data', Buffer.from([1, 2])) },
    { rate: 44_100 },
  ]
  for (const form of forms) {
    test(`of the form ${JSON.stringify(form)} is read`, async () => {
      const { rate, samples } = await read(wavOf(SAMPLES, form))
      expect([rate, [...samples]]).toEqual([form.rate ?? 16_000, SAMPLES])
    })
  }

  test('is read to its end where the length of its samples is wrong', async () => {
    for (const length of [0, 0xffffffff, 1000]) expect([...(await read(wavOf(SAMPLES, { length }))).samples]).toEqual(SAMPLES)
    // A program that stopped in the middle of a sample.
    expect([...(await read(wavOf(SAMPLES).subarray(0, -1))).samples]).toEqual(SAMPLES.slice(0, -1))
  })

  test('is rejected where thousands of chunks stand before its samples', async () => {
    const empty = (count: number) => Buffer.concat(Array.from({ length: count }, () => chunkOf('LIST', Buffer.alloc(0))))
    expect([...(await read(wavOf(SAMPLES, { before: empty(900) }))).samples]).toEqual(SAMPLES)
    expect(await reason(wavOf(SAMPLES, { before: empty(1100) }))).toBe('The sound has more than 1000 chunks before its samples')
  })

  test('with several channels has their mean', async () => {
    expect([...(await read(wavOf([0.5, 0, -0.5, 0.25, 1 / 4, -1 / 4], { channels: 2, bits: 32, tag: 3 }))).samples]).toEqual([
      0.25, -0.125, 0,
    ])
  })

  test('is rejected with what is wrong with it', async () => {
    const whole = wavOf(SAMPLES)
    const table: readonly (readonly [Uint8Array, string])[] = [
      [new TextEncoder().encode('<html>'), 'The sound is no WAV file (RIFF, WAVE)'],
      [new TextEncoder().encode('fLaC and more of it'), 'The sound is no WAV file (RIFF, WAVE), but FLAC: convert it to WAV'],
      [new Uint8Array(0), 'The sound is no WAV file (RIFF, WAVE)'],
      [whole.subarray(0, 12), 'The sound has no format ("fmt " chunk)'],
      [whole.subarray(0, 36), 'The sound has no samples ("data" chunk)'],
      [wavOf([]), 'The sound has no samples'],
      [wavOf(SAMPLES, { tag: 6 }), 'The sound has the format 6; 1 (integers) and 3 (floats) are read: convert it to 16-bit WAV'],
      [wavOf(SAMPLES, { bits: 40 }), 'The sound has 40 bits a sample; 8, 16, 24, 32 are read for integers'],
      [wavOf(SAMPLES, { channels: 65 }), 'The sound has 65 channels; 1 to 64 are read'],
      [wavOf(SAMPLES, { rate: 0 }), 'The sound has 0 samples a second; 1 to 768000 are read'],
      [wavOf([0, Number.NaN], { tag: 3, bits: 32 }), 'The sound has a sample that is no finite number'],
    ]
    for (const [bytes, expected] of table) expect(await reason(bytes)).toBe(expected)
    expect(await reason(wavOf(new Float32Array(16_001)), { secondsMax: 1 })).toBe(
      'The sound is 1.00 s long; the model takes at most 1 s',
    )
    expect(await reason(wavOf(new Float32Array(16_000)), { secondsMax: 1 })).toBe('read')
  })

  test('of any bytes is read or rejected', async () => {
    const whole = wavOf(SAMPLES, { before: chunkOf('LIST', Buffer.from('odd')) })
    for (let at = 0; at < whole.length; at += 1) {
      for (const value of [0, 1, 127, 255]) {
        const bytes = whole.slice()
        bytes[at] = value
        expect(await reason(bytes)).toMatch(/^(read$|The sound )/)
      }
      expect(await reason(whole.subarray(0, at))).toMatch(/^(read$|The sound )/)
    }
  })
})

describe('sound at another rate is that of scipy', () => {
  for (const { rate, target, samples: count, resampled } of scipy) {
    test(`from ${rate} to ${target}`, async () => {
      const samples = Float32Array.from(
        { length: count },
        (_, index) => Math.sin(index * 0.37) * 0.6 + Math.cos(index * index * 0.011) * 0.3,
      )
      const given = await resample({ rate, samples }, target)
      expect(given.length).toBe(resampled.length)
      const largest = given.reduce((most, value, index) => Math.max(most, Math.abs(value - (resampled[index] ?? Number.NaN))), 0)
      expect(largest).toBeLessThan(1e-6)
    })
  }

  test('and the same sound where the rates are equal', async () => {
    const samples = new Float32Array([1, 2, 3])
    expect(await resample({ rate: 16_000, samples }, 16_000)).toBe(samples)
  })

  test('and not made where the rates have no simple ratio', async () => {
    await expect(resample({ rate: 44_099, samples: new Float32Array(9) }, 16_000)).rejects.toMatchObject({
      code: 'INPUT_INVALID',
      detail: 'The sound has 44099 samples a second, which has no simple ratio to the 16000 of the model: send 16000 a second',
    })
  })
})

test('sound whose client is gone is given up as such, and no bug of ours', async () => {
  const call = {
    task: {
      task: 'audio-classify',
      sources: {},
      audio: { input: 'x', rate: 16_000, secondsMax: 1, isNormalized: false },
      scores: { output: 'y', labels: ['a'], activation: 'none' },
    },
    inputs: [],
    infer: () => expect.unreachable(),
    signal: AbortSignal.abort(),
  } as const
  const error = await classifySounds(call, [wavOf(SAMPLES)]).catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(VestalError)
  expect(error).toMatchObject({ code: 'REQUEST_ABORTED' })
})
