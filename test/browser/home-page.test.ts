import { afterAll, describe, expect, test } from 'bun:test'
import { chromiumPath, openBundled } from '../support/chromium.ts'
import { hasTool } from '../support/tools.ts'

const path = chromiumPath()

if (hasTool('Chromium', path)) {
  describe('the pages for people in Chromium', async () => {
    const { base, browser, stop } = await openBundled(path)
    afterAll(stop)

    for (const colorScheme of ['light', 'dark'] as const) {
      for (const address of ['/', '/models/', '/nowhere']) {
        test(`${address} fits 320 pixels, has its own style and asks for nothing else, ${colorScheme}`, async () => {
          const context = await browser.newContext({ viewport: { width: 320, height: 640 }, colorScheme })
          const page = await context.newPage()
          const asked: string[] = []
          const refused: string[] = []
          page.on('request', (request) => request.url().startsWith('data:') || asked.push(request.url()))
          page.on('console', (message) => message.text().includes('Security Policy') && refused.push(message.text()))
          await page.goto(`${base}${address}`)
          expect([asked, refused]).toEqual([[`${base}${address}`], []])
          expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(320)
          const background = await page.evaluate('getComputedStyle(document.body).backgroundColor')
          expect(background).toBe(colorScheme === 'light' ? 'rgb(250, 250, 250)' : 'rgb(28, 32, 34)')
          await context.close()
        })
      }
    }

    test('/ leads to the form of the sign-in', async () => {
      const page = await browser.newPage()
      await page.goto(base)
      await page.getByRole('link', { name: 'Sign in' }).click()
      await page.locator('.opblock.is-open', { hasText: 'Get a token' }).waitFor()
      await page.close()
    })
  })
}
