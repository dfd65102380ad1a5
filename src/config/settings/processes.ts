import { asNumber, integer, type Reader, seconds } from '../readers.ts'
import { single } from './row.ts'

const whole = integer(1, 64)
const processes: Reader<number | 'auto'> = asNumber((text) => {
  if (text === 'auto') return text
  try {
    return whole(text)
  } catch {
    throw new RangeError('must be a whole number from 1 to 64, or auto')
  }
})

/** Several processes that serve together. */
export const PROCESSES = {
  processes: single(processes, 1, {
    value: 'N|auto',
    help: 'HTTP processes on one port, on Linux; auto is one for each core. One engine process computes for all of them.',
  }),
  startSeconds: single(seconds(5, 86_400), 600, {
    help: 'Seconds until one of several processes must serve; then it is killed, and another is started.',
  }),
  drainSeconds: single(seconds(0, 3600), 30, {
    help: 'Seconds that requests of a replaced process may go on; then they have --shutdown-seconds more.',
  }),
}
