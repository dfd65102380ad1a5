import { expect, test } from 'bun:test'
import { usableCores } from '../../../src/platform/cores.ts'

const files = (contents: Readonly<Record<string, string>>) => (path: string) => contents[path]

test('without control groups the cores are those that the process may be scheduled on', () => {
  expect(usableCores(8, files({}))).toBe(8)
})

test('a quota of control groups 2 is the limit, of the own group or of one above it, rounded up', () => {
  const own = { '/proc/self/cgroup': '0::/kubepods/pod/x\n', '/sys/fs/cgroup/kubepods/pod/x/cpu.max': '150000 100000\n' }
  expect(usableCores(8, files(own))).toBe(2)
  expect(usableCores(8, files({ ...own, '/sys/fs/cgroup/kubepods/cpu.max': '100000 100000\n' }))).toBe(1)
  expect(usableCores(8, files({ '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/cpu.max': '400000 100000' }))).toBe(4)
  expect(usableCores(8, files({ '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/cpu.max': 'max 100000\n' }))).toBe(8)
})

test('a quota of control groups 1 is the limit', () => {
  const group = '4:memory:/x\n3:cpu,cpuacct:/docker/abc\n0::/\n'
  const read = files({
    '/proc/self/cgroup': group,
    '/sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us': '50000\n',
    '/sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us': '100000\n',
  })
  expect(usableCores(8, read)).toBe(1)
  const unlimited = files({
    '/proc/self/cgroup': group,
    '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1\n',
    '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
  })
  expect(usableCores(8, unlimited)).toBe(8)
})

test('nonsense is no limit, and a quota over the cores is none either', () => {
  expect(usableCores(2, files({ '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/cpu.max': 'x y\n' }))).toBe(2)
  expect(usableCores(2, files({ '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/cpu.max': '800000 100000\n' }))).toBe(2)
})
