import { createInterface } from 'node:readline'
import { SettingsError } from '../config/load.ts'
import { promptSecret } from '../platform/prompt.ts'

/**
 * Asks for a new password. On a terminal it is asked for twice and not shown; otherwise it is the first line of the standard input, so
 * that a script can pipe it in and no command line ever holds it.
 */
export async function askPassword(label: string): Promise<string> {
  const password = promptSecret(label)
  if (password === undefined) return firstLine()
  if (password !== promptSecret('Once more')) throw new SettingsError(['the two passwords are not the same'])
  return password
}

async function firstLine(): Promise<string> {
  for await (const line of createInterface({ input: process.stdin })) return line
  throw new SettingsError(['a password is needed, on the terminal or as the first line of the standard input'])
}
