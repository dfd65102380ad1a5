import { expect, test } from 'bun:test'
import { join } from 'node:path'

const OUTPUT = join(import.meta.dir, '../../../src/server/log-output.ts')

/** What a program prints that has `output` and runs this. */
async function printed(program: string): Promise<readonly string[]> {
  const source = `import { createLogOutput } from ${JSON.stringify(OUTPUT)}; const output = createLogOutput(); ${program}`
  const { stdout, exited } = Bun.spawn([process.execPath, '-e', source], { stdout: 'pipe', stderr: 'inherit' })
  const text = await new Response(stdout).text()
  expect(await exited).toBe(0)
  return text.split('\n').slice(0, -1)
}

test('writes lines in the order in which they came, those that are made later too', async () => {
  const lines = await printed(`
    output.writeLater(() => 'a')
    output.write('b', 'warn')
    for (let index = 0; index < 1000; index += 1) output.writeLater(() => String(index))
    output.write('c', 'error')
    await output.flush()
  `)
  expect(lines).toEqual(['a', 'b', ...Array.from({ length: 1000 }, (_, index) => String(index)), 'c'])
})

test('writes by itself, and counts what a slow reader cannot take', async () => {
  const lines = await printed(`
    const line = 'x'.repeat(1000)
    for (let index = 0; index < 2000; index += 1) output.writeLater(() => line)
    process.on('exit', () => process.stdout.write(output.dropped() > 900 && output.dropped() < 1000 ? 'counted\\n' : output.dropped() + '\\n'))
  `)
  expect(lines.at(-1)).toBe('counted')
  expect(lines.length).toBeGreaterThan(1000)
})
