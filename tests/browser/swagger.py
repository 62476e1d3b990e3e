"""Swagger UI as a person uses it: open an operation, choose an example, execute, read the answer."""

import json
from typing import Any

from playwright.async_api import Locator, Page, expect


class Attention:
    """The panel of POST /v1/attention."""

    def __init__(self, page: Page) -> None:
        self.panel = page.locator(".opblock", has=page.locator('.opblock-summary-path[data-path="/v1/attention"]'))
        self.request_body = self.panel.locator(".opblock-section-request-body")
        self.examples = self.request_body.locator(".examples-select-element")
        self.editor = self.panel.locator("textarea.body-param__text")
        self.answer = self.panel.locator(".live-responses-table .response")

    async def open(self) -> None:
        """Open the panel."""
        await self.panel.locator(".opblock-summary-control").click()
        await self.examples.wait_for()

    async def body(self) -> Any:
        """Return what would be sent."""
        return json.loads(await self.editor.input_value())

    async def execute(self) -> int:
        """Send the request, wait for its own answer, return the status that is shown."""
        async with self.panel.page.expect_response("**/v1/attention") as sent:
            await self.panel.get_by_role("button", name="Execute").click()
        request_id = (await sent.value).headers["x-request-id"]
        await self.answer.get_by_text(request_id).first.wait_for()
        return int(await self.answer.locator(".response-col_status").inner_text())

    async def answered(self) -> Any:
        """Return the body of the answer that is shown."""
        return json.loads(await self.answer.locator(".highlight-code pre").inner_text())

    async def answer_headers(self) -> str:
        """Return the headers of the answer that are shown."""
        return await self.answer.locator("h5", has_text="Response headers").locator("+ pre").inner_text()

    async def open_schema(self) -> None:
        """Show the schema of the body instead of the body itself."""
        await self.panel.get_by_role("button", name="Cancel").click()
        await self.request_body.get_by_role("tab", name="Schema").click()

    async def schema_of(self, field: str) -> Locator:
        """Open the schema of one field of the body to its leaves."""
        title = self.panel.page.locator(".json-schema-2020-12__title").get_by_text(field, exact=True)
        opened = self.request_body.locator(".json-schema-2020-12-property").filter(has=title).first
        closed = opened.get_by_role("button", name="Expand all")
        await closed.first.click()
        await expect(closed).to_have_count(0)
        return opened
