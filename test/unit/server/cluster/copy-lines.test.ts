import { expect, test } from 'bun:test'
import { copyLines } from '../../../../src/server/cluster/copy-lines.ts'

async function linesOf(...chunks: readonly Uint8Array[]): Promise<readonly string[]> {
  const lines: string[] = []
  await copyLines(streamOf(chunks), (line) => void lines.push(line))
  return lines
}

function streamOf(chunks: readonly Uint8Array[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk)
      controller.close()
    },
  })
}

const bytes = (text: string) => new TextEncoder().encode(text)

test('lines are passed on whole, however they come, and the last without its end', async () => {
  expect(await linesOf(bytes('on'), bytes('e\ntwo\nth'), bytes('ree'))).toEqual(['one', 'two', 'three'])
  expect(await linesOf(bytes('one\n'))).toEqual(['one'])
  expect(await linesOf()).toEqual([])
})

test('a character that comes in two parts is one', async () => {
  const snowman = bytes('☃\n')
  expect(await linesOf(snowman.slice(0, 1), snowman.slice(1))).toEqual(['☃'])
})

test('a line without an end does not grow', async () => {
  const lines = await linesOf(...Array.from({ length: 5 }, () => bytes('x'.repeat(40_000))))
  expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(64 * 1024)
  expect(lines.length).toBeGreaterThan(1)
})
