/** What a socket at `/socket` sends back, or `refused` where there is none for these headers. */
export function echoOf(base: string, headers: Readonly<Record<string, string>>): Promise<string> {
  return new Promise((resolve) => {
    const socket = new WebSocket(`${base.replace('http', 'ws')}/socket`, { headers } as unknown as string[])
    socket.onopen = () => socket.send('hello')
    socket.onmessage = ({ data }) => {
      resolve(String(data))
      socket.close()
    }
    socket.onerror = () => resolve('refused')
    socket.onclose = () => resolve('refused')
  })
}
