const END = '\r\n\r\n'

/** Reads responses of HTTP/1.1 on a connection without pipelining, and gives the status of each once its last byte is there. */
export function responseReader(done: (status: number) => void): (chunk: Buffer) => void {
  let head = ''
  /** Bytes of the body that are still to come; not a number before the head is read, infinite for a chunked body. */
  let left = Number.NaN
  let tail = ''
  let status = 0
  const begin = (chunk: Buffer): Buffer | undefined => {
    head += chunk.toString('latin1')
    const end = head.indexOf(END)
    if (end < 0) return undefined
    const fields = head.slice(0, end).toLowerCase()
    status = Number(fields.slice(9, 12))
    left = fields.includes('transfer-encoding: chunked') ? Infinity : Number(/content-length: *(\d+)/.exec(fields)?.[1] ?? 0)
    return Buffer.from(head.slice(end + END.length), 'latin1')
  }
  return (chunk) => {
    const body = Number.isNaN(left) ? begin(chunk) : chunk
    if (body === undefined) return
    if (left === Infinity) tail = (tail + body.toString('latin1')).slice(-7)
    else left -= body.length
    if (left !== 0 && !tail.endsWith(`\r\n0${END}`) && tail !== `0${END}`) return
    head = ''
    tail = ''
    left = Number.NaN
    done(status)
  }
}
