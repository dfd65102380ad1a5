import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { resample } from '../../src/tasks/audio/resample.ts'
import { readWav } from '../../src/tasks/audio/wav.ts'
import { hasTool } from '../support/tools.ts'

const python = process.env.VESTAL_TEST_PYTHON

/** The largest difference of two lists; Infinity where they are not of one length. */
const distance = (a: ArrayLike<number>, b: readonly number[]) =>
  a.length === b.length
    ? b.reduce((most, value, index) => Math.max(most, Math.abs(value - (a[index] ?? Number.NaN))), 0)
    : Number.POSITIVE_INFINITY

if (hasTool('a Python with scipy (VESTAL_TEST_PYTHON)', python)) {
  const folder = mkdtempSync(join(tmpdir(), 'vestal-wav-'))
  afterAll(() => rmSync(folder, { recursive: true }))
  const run = Bun.spawnSync([python, join(import.meta.dir, 'wav_files.py'), folder])
  const names = readdirSync(folder).filter((name) => name.endsWith('.wav'))

  describe('a WAV file that Python wrote', () => {
    test('is there, in each of its forms', () => expect([run.exitCode, String(run.stderr), names.length]).toEqual([0, '', 8]))

    for (const name of names) {
      test(`${name} has Python's samples, and scipy's at 16 kHz`, async () => {
        const truth = await Bun.file(join(folder, name.replace('.wav', '.json'))).json()
        const sound = await readWav(await Bun.file(join(folder, name)).bytes(), { secondsMax: 1 })
        expect([sound.rate, distance(sound.samples, truth.samples) < 1e-6]).toEqual([truth.rate, true])
        expect(distance(await resample(sound, 16_000), truth.resampled)).toBeLessThan(1e-6)
      })
    }
  })
}
