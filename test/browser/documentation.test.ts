import { afterAll, describe, expect, test } from 'bun:test'
import type { Browser, Page } from 'playwright-core'
import { chromiumPath, openBundled } from '../support/chromium.ts'
import { createServer } from '../support/server.ts'
import { tokenWith } from '../support/tokens.ts'
import { hasTool } from '../support/tools.ts'

const path = chromiumPath()

/** Opens a page that can reach the server alone, and hears of every request to anyone else and of every error. */
async function openPage(browser: Browser, base: string): Promise<{ page: Page; elsewhere: string[]; errors: string[] }> {
  const context = await browser.newContext()
  const page = await context.newPage()
  const elsewhere: string[] = []
  const errors: string[] = []
  await context.route('**/*', (route) => {
    const url = route.request().url()
    if (url.startsWith(base) || url.startsWith('data:')) return route.continue()
    elsewhere.push(url)
    return route.abort()
  })
  page.on('pageerror', (error) => errors.push(String(error)))
  page.on('console', (message) => message.type() === 'error' && errors.push(message.text()))
  return { page, elsewhere, errors }
}

if (hasTool('Chromium', path)) {
  describe('the documentation page in Chromium', async () => {
    const { engine, base, browser, stop } = await openBundled(path)
    afterAll(stop)

    test('is authorized with a token, tries a call, and contacts no one else', async () => {
      const { page, elsewhere, errors } = await openPage(browser, base)
      await page.goto(`${base}/docs/`)
      const operation = page.locator('.opblock', { hasText: '/models/{name}/predict/' })
      await operation.waitFor()
      await page.locator('button.authorize').first().click()
      await page
        .locator('.modal-ux input')
        .first()
        .fill(tokenWith(['model:*:predict']))
      await page.locator('.modal-ux button.authorize').first().click()
      await page.locator('.modal-ux button.btn-done').first().click()
      await operation.locator('.opblock-summary').click()
      await operation.locator('tr[data-param-name="name"] input').fill('iris')
      await operation.locator('button.execute').click()
      const answer = operation.locator('.live-responses-table .response-col_status').nth(1)
      await answer.waitFor()
      expect(await answer.textContent()).toContain('200')
      expect(await operation.locator('.live-responses-table .response-col_description').nth(1).textContent()).toContain('setosa')
      if (process.env.VESTAL_TEST_SCREENSHOT !== undefined)
        await page.screenshot({ path: process.env.VESTAL_TEST_SCREENSHOT, fullPage: true })
      expect([elsewhere, errors]).toEqual([[], []])
    })

    test('shows the groups of other servers’ clients closed, but for the one that the address names', async () => {
      const { page, errors } = await openPage(browser, base)
      const operation = (text: string) => page.locator('.opblock', { hasText: text })
      await page.goto(`${base}/docs/`)
      await operation('/models/{name}/predict/').waitFor()
      await page.locator('#operations-tag-OpenAI[data-is-open="false"]').waitFor()
      expect(await operation('/v1/embeddings').count()).toBe(0)
      await page.locator('#operations-tag-OpenAI').click()
      await operation('/models/{name}/v1/embeddings').waitFor()
      await page.goto(`${base}/docs/#/Text%20Embeddings%20Inference`)
      await page.reload()
      await operation('/models/{name}/embed_all').waitFor()
      await page.locator('#operations-tag-OpenAI[data-is-open="false"]').waitFor()
      expect(errors).toEqual([])
    })

    test('is authorized with what is typed after Authorize, since the first box is the token’s and has the cursor', async () => {
      const { page, errors } = await openPage(browser, base)
      await page.goto(`${base}/docs/`)
      const operation = page.locator('.opblock', { hasText: '/private/info/' })
      await operation.waitFor()
      for (const opener of ['button.authorize', '.opblock button.authorization__btn']) {
        await page.locator(opener).first().click()
        await page.waitForFunction("document.activeElement?.id === 'auth-bearer-value'")
        expect(await page.locator('.modal-ux input').first().getAttribute('id')).toBe('auth-bearer-value')
        expect(await page.locator('.modal-ux').textContent()).not.toContain('cookie')
        await page.locator('.modal-ux button.close-modal').click()
      }
      await page.locator('button.authorize').first().click()
      await page.waitForFunction("document.activeElement?.id === 'auth-bearer-value'")
      await page.keyboard.insertText(tokenWith(['my-permission-name']))
      await page.keyboard.press('Enter')
      await page.locator('.modal-ux button.btn-done').first().click()
      await operation.locator('.opblock-summary').click()
      await operation.locator('button.execute').click()
      const answer = operation.locator('.live-responses-table .response-col_status').nth(1)
      await answer.waitFor()
      expect(await answer.textContent()).toContain('200')
      expect(errors).toEqual([])
    })

    test('lists the models that a token may read, and suggests one', async () => {
      const { page, errors } = await openPage(browser, base)
      await page.goto(`${base}/docs/`)
      const list = page.locator('.served li a')
      await list.first().waitFor()
      expect(await list.allTextContents()).toEqual(engine.models().map(({ name }) => name))
      await page.locator('button.authorize').first().click()
      await page
        .locator('.modal-ux input')
        .first()
        .fill(tokenWith(['model:digits:read']))
      await page.locator('.modal-ux button.authorize').first().click()
      await page.locator('.modal-ux button.btn-done').first().click()
      await page.locator('.served small', { hasText: 'version 1' }).waitFor()
      expect(await list.allTextContents()).toEqual(['digits'])
      await list.first().click()
      const operation = page.locator('.opblock.is-open', { hasText: '/models/{name}/predict/' })
      await operation.waitFor()
      expect(await operation.locator('tr[data-param-name="name"] input').inputValue()).toBe('digits')
      expect(errors).toEqual([])
    })

    test('shows the schemas of the models that a token may predict with, and a call of one', async () => {
      const { page, errors } = await openPage(browser, base)
      await page.goto(`${base}/docs/`)
      await page.locator('.opblock', { hasText: '/models/{name}/predict/' }).waitFor()
      const own = (name: string) => page.locator('.opblock', { hasText: `/models/${name}/predict/` })
      expect(await own('iris').count()).toBe(0)
      await page.locator('button.authorize').first().click()
      await page
        .locator('.modal-ux input')
        .first()
        .fill(tokenWith(['model:iris:*', 'model:digits:read']))
      await page.locator('.modal-ux button.authorize').first().click()
      await page.locator('.modal-ux button.btn-done').first().click()
      await own('iris').waitFor()
      expect([await own('digits').count(), await page.locator('#operations-tag-OpenAI[data-is-open="false"]').count()]).toEqual([
        0, 1,
      ])
      await own('iris').locator('.opblock-summary').click()
      await own('iris').locator('button.execute').click()
      const answer = own('iris').locator('.live-responses-table .response-col_description').nth(1)
      await answer.waitFor()
      expect(await answer.textContent()).toContain('setosa')
      if (process.env.VESTAL_TEST_SCREENSHOT !== undefined)
        await page.screenshot({ path: `${process.env.VESTAL_TEST_SCREENSHOT}.models.png` })
      expect(errors).toEqual([])
    })

    test('says why a token is rejected, and that one is needed where the server names no model', async () => {
      const production = createServer(engine, { signIn: undefined as never })
      production.listen({ port: 0, hostname: '127.0.0.1' })
      const address = `http://127.0.0.1:${production.server?.port}`
      const { page } = await openPage(browser, address)
      await page.goto(`${address}/docs/`)
      await page.locator('.served p', { hasText: 'Authorize to see' }).waitFor()
      await page.locator('button.authorize').first().click()
      await page.locator('.modal-ux input').first().fill('a.b.c')
      await page.locator('.modal-ux button.authorize').first().click()
      await page.locator('.served p', { hasText: '401: Unauthorized' }).waitFor()
      await production.stop(true)
    })

    test('without a token gets a 401, and shows it', async () => {
      const { page } = await openPage(browser, base)
      await page.goto(`${base}/docs/`)
      const operation = page.locator('.opblock', { hasText: '/private/info/' })
      await operation.locator('.opblock-summary').click()
      await operation.locator('button.execute').click()
      const answer = operation.locator('.live-responses-table .response-col_status').nth(1)
      await answer.waitFor()
      expect(await answer.textContent()).toContain('401')
    })
  })
}
