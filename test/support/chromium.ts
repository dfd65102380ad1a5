import { chromium } from 'playwright-core'
import { bundledEngine, createServer } from './server.ts'

/** Chromium's path, where it is installed. */
export function chromiumPath(): string | null {
  return Bun.which('chromium') ?? Bun.which('google-chrome')
}

/** It runs as root here, and talks only to the test. */
export const chromiumFlags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** Starts a server with the bundled models, and Chromium; `stop` ends both. */
export async function openBundled(executablePath: string) {
  const engine = await bundledEngine()
  const app = createServer(engine)
  app.listen({ port: 0, hostname: '127.0.0.1' })
  const browser = await chromium.launch({ executablePath, args: chromiumFlags })
  const stop = async () => {
    await browser.close()
    await engine.stop()
    await app.stop(true)
  }
  return { engine, browser, base: `http://127.0.0.1:${app.server?.port}`, stop }
}
