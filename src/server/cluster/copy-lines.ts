/** A line is cut here: what writes a longer one has gone wrong. */
const LINE_LENGTH_MAX = 64 * 1024

/** Calls back with each line of a stream, whole, so that lines of several processes never run into each other. */
export async function copyLines(stream: ReadableStream<Uint8Array>, write: (line: string) => void): Promise<void> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const bytes of stream) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) write(line.slice(0, LINE_LENGTH_MAX))
    if (rest.length <= LINE_LENGTH_MAX) continue
    write(rest.slice(0, LINE_LENGTH_MAX))
    rest = ''
  }
  if (rest !== '') write(rest)
}
