import { expect, test } from 'bun:test'
import { copyLines } from '../../../../src/server/cluster/child-process.ts'

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

test('copies whole lines, however the stream is cut, and a last line without a newline', async () => {
  expect(await linesOf(bytes('on'), bytes('e\ntwo\nth'), bytes('ree'))).toEqual(['one', 'two', 'three'])
  expect(await linesOf(bytes('one\n'))).toEqual(['one'])
  expect(await linesOf()).toEqual([])
})

test('joins a character that arrives in two chunks', async () => {
  const snowman = bytes('☃\n')
  expect(await linesOf(snowman.slice(0, 1), snowman.slice(1))).toEqual(['☃'])
})

test('splits a line that exceeds 64 KiB', async () => {
  const lines = await linesOf(...Array.from({ length: 5 }, () => bytes('x'.repeat(40_000))))
  expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(64 * 1024)
  expect(lines.length).toBeGreaterThan(1)
})
