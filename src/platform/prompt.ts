import { readSync } from 'node:fs'

const ENTER = new Set([10, 13])
const END = 4
const INTERRUPT = 3
const RUBOUT = new Set([8, 127])
const BYTES_MAX = 4096
/** What a shell reports for a program that was ended by Ctrl-C. */
const EXIT_INTERRUPTED = 130

/** Asks for a secret on the terminal, and shows nothing of what is typed. Undefined where there is no terminal. */
export function promptSecret(question: string): string | undefined {
  const { stdin } = process
  if (!stdin.isTTY) return undefined
  const typed: number[] = []
  const one = Buffer.alloc(1)
  // Before the question, so that what is typed at once is not shown either.
  stdin.setRawMode(true)
  try {
    process.stderr.write(`${question}: `)
    while (readSync(0, one, 0, 1, null) === 1 && typed.length < BYTES_MAX) {
      const [byte = END] = one
      if (byte === INTERRUPT) process.exit(EXIT_INTERRUPTED)
      if (byte === END || ENTER.has(byte)) break
      if (RUBOUT.has(byte)) removeCharacter(typed)
      else typed.push(byte)
    }
    return Buffer.from(typed).toString('utf8')
  } finally {
    stdin.setRawMode(false)
    process.stderr.write('\n')
  }
}

/** Takes back one character of UTF-8: its last byte, and those that follow its first. */
function removeCharacter(bytes: number[]): void {
  while (((bytes.pop() ?? 0) & 0xc0) === 0x80);
}
