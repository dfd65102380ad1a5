import { describe, expect, test } from 'bun:test'
import { loadSettings } from '../../../src/config/load.ts'
import { lookAtBun, lookAtDisk, lookAtOpenFiles, lookAtResources } from '../../../src/doctor/machine.ts'
import { usableBytes } from '../../../src/platform/memory.ts'
import { MODELS } from '../../support/server.ts'

const MIB = 1024 * 1024
const settings = (flags: Readonly<Record<string, readonly string[]>> = {}) =>
  loadSettings({ flags: { models: [MODELS], ...flags }, environment: {}, directory: '/' }).settings
const subject = (flags?: Readonly<Record<string, readonly string[]>>) => ({
  settings: settings(flags),
  mode: 'development' as const,
  environment: {},
  faults: [],
  warnings: [],
})
const levels = (findings: readonly { readonly level: string }[]) => findings.map(({ level }) => level)

describe('the doctor, of the machine', () => {
  test('wants the Bun that this was made for, or a newer one', () => {
    expect(levels(lookAtBun(subject(), { bunVersion: '1.4.4' }))).toEqual(['wrong'])
    expect(levels(lookAtBun(subject(), { bunVersion: '1.4.5' }))).toEqual(['right'])
    expect(levels(lookAtBun(subject(), { bunVersion: '1.5.0' }))).toEqual(['right'])
  })

  test('wants room for files and connections', () => {
    expect(levels(lookAtOpenFiles(subject(), { openFilesMax: 1024 }))).toEqual(['wrong'])
    expect(levels(lookAtOpenFiles(subject(), { openFilesMax: 4096 }))).toEqual(['right'])
    expect(levels(lookAtOpenFiles(subject(), { openFilesMax: undefined }))).toEqual(['note'])
  })

  test('wants room on the disk', () => {
    expect(levels(lookAtDisk(subject(), { freeBytes: () => 10 * MIB }))).toEqual(['wrong'])
    expect(levels(lookAtDisk(subject(), { freeBytes: () => 300 * MIB }))).toEqual(['right'])
    expect(levels(lookAtDisk(subject(), { freeBytes: () => undefined }))).toEqual(['note'])
  })

  test('wants memory for every copy of the weights, and cores for every thread', () => {
    expect(levels(lookAtResources(subject(), { memoryBytes: 128 * MIB, cores: 2 }))).toEqual(['wrong'])
    expect(levels(lookAtResources(subject(), { memoryBytes: 512 * MIB, cores: 2 }))).toEqual(['right'])
    const many = subject({ instances: ['16'] })
    expect(levels(lookAtResources(many, { memoryBytes: 512 * MIB, cores: 2 }))).toEqual(['wrong', 'wrong'])
    expect(levels(lookAtResources(many, { memoryBytes: 8192 * MIB, cores: 16 }))).toEqual(['right'])
  })

  test('wants memory for every process, and for the one that is there while another is replaced; models are there once', () => {
    const four = subject({ processes: ['4'] })
    expect(lookAtResources(four, { memoryBytes: 768 * MIB, cores: 4 })).toEqual([
      {
        level: 'wrong',
        message: expect.stringMatching(
          /^the models, 4 processes, and one more while they are replaced, need about (?:1\d|[89])\d\d MiB of memory/,
        ),
        todo: expect.stringContaining('fewer --processes'),
      },
    ])
    expect(levels(lookAtResources(four, { memoryBytes: 2048 * MIB, cores: 4 }))).toEqual(['right'])
    const [, threads] = lookAtResources(subject({ processes: ['auto'], threads: ['5'] }), { memoryBytes: 512 * MIB, cores: 4 })
    expect(threads?.message).toBe('1 workers a model with 5 threads each are more than the 4 cores here')
  })
})

describe('usable memory', () => {
  const reader = (files: Readonly<Record<string, string>>) => (path: string) => files[path]

  test('is the least of the machine and of every control group above, of either version', () => {
    const second = {
      '/proc/self/cgroup': '0::/a/b\n',
      '/sys/fs/cgroup/a/b/memory.max': 'max\n',
      '/sys/fs/cgroup/a/memory.max': '1000\n',
    }
    expect(usableBytes(5000, reader(second))).toBe(1000)
    const first = { '/proc/self/cgroup': '4:memory:/x\n', '/sys/fs/cgroup/memory/x/memory.limit_in_bytes': '2000\n' }
    expect(usableBytes(5000, reader(first))).toBe(2000)
  })

  test('is the machine’s where no group says less', () => {
    expect(usableBytes(5000, reader({}))).toBe(5000)
    expect(usableBytes(5000, reader({ '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/memory.max': 'max\n' }))).toBe(5000)
    expect(
      usableBytes(5000, reader({ '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/memory.max': '9223372036854771712\n' })),
    ).toBe(5000)
  })
})
