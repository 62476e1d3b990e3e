// Swagger UI over this server's own specification; nothing is asked of any other origin.
const dark = matchMedia("(prefers-color-scheme: dark)");

// Swagger UI has a dark theme but leaves the choice to the page.
function followColourScheme() {
  document.documentElement.classList.toggle("dark-mode", dark.matches);
}

// Swagger UI writes one number a line; a matrix reads better one row a line.  No JSON string holds a raw line break,
// so what matches is never part of one.
function joinRows(json) {
  return json.replace(/\[\n[^[\]{}"]*\]/g, (row) => row.replace(/\s+/g, " ").replace("[ ", "[").replace(" ]", "]"));
}

// What a person has typed stays as it was typed.
function isWrittenBySwagger(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2) === text;
  } catch {
    return false;
  }
}

const oneRowALine = ({ React }) => ({
  wrapComponents: {
    TextArea: (Original) => (properties) => {
      const { value } = properties;
      return React.createElement(Original, { ...properties, value: isWrittenBySwagger(value) ? joinRows(value) : value });
    },
    PlainTextViewer: (Original) => ({ children, ...properties }) =>
      React.createElement(Original, properties, typeof children === "string" ? joinRows(children) : children),
  },
});

// The number of a member of a union says nothing.  Those without a title are enumerations, choices and objects.
function nameOfMember(numbered, schema) {
  if (schema.title) return schema.title;
  if (schema.enum) return schema.enum.length < 4 ? schema.enum.join(" | ") : "name · 名称";
  if (schema.oneOf) return "object with name and parameters · 带名称和参数的对象";
  return numbered.replace(/^#\d+ /, "");
}

const namedMembers = ({ React }) => ({
  wrapComponents: {
    JSONSchema202012: (Original) => React.forwardRef(({ name, ...properties }, ref) => {
      const isNumbered = typeof name === "string" && /^#\d+ /.test(name);
      return React.createElement(Original, {
        ...properties, ref, name: isNumbered ? nameOfMember(name, properties.schema) : name,
      });
    }),
  },
});

// The row of an operation is a button, and a link inside a button cannot be reached.  Opening the row sets the address.
const withoutLinksInButtons = ({ React }) => ({
  wrapComponents: {
    OperationSummaryPath: (Original) => ({ operationProps, ...properties }) =>
      React.createElement(Original, {
        ...properties, operationProps: operationProps.set("isDeepLinkingEnabled", false),
      }),
  },
});

const NAMES = [
  [".examples-select-element", "Example · 示例"],
  [".content-type", "Media type · 媒体类型"],
  [".body-param__text", "Request body · 请求体"],
  [".opblock-section-request-body input[type=file]", "Request body, a file · 请求体文件"],
  [".close-modal", "Close · 关闭"],
  ["#servers", "Server · 服务器"],
];

const REGIONS = [[".information-container", "About · 说明"], [".scheme-container", "Server and API key · 服务器与密钥"]];

function operationOf(part) {
  const block = part.closest(".opblock");
  const [method, path] = [".opblock-summary-method", ".opblock-summary-path"].map((one) => block.querySelector(one));
  return { method: method.textContent, path: path.dataset.path };
}

// Swagger UI leaves some of its controls without a name for screen readers, and what scrolls out of reach of the keys.
function makeAccessible(root) {
  for (const [selector, name] of NAMES) {
    for (const control of root.querySelectorAll(selector)) control.setAttribute("aria-label", name);
  }
  for (const row of root.querySelectorAll("tr[data-param-name]")) {
    for (const control of row.querySelectorAll("input, select, textarea")) {
      control.setAttribute("aria-label", row.dataset.paramName);
    }
  }
  for (const dialog of root.querySelectorAll(".modal-ux:not([role])")) {
    dialog.setAttribute("role", "dialog");
    dialog.setAttribute("aria-modal", "true");
    dialog.setAttribute("aria-label", "API key · API 密钥");
  }
  // Its name must contain the word that it shows, for those who speak to the page.
  for (const button of root.querySelectorAll(".auth-btn-wrapper button[aria-label]")) {
    const word = button.textContent.trim();
    if (!button.ariaLabel.startsWith(word)) button.ariaLabel = `${word}: ${button.ariaLabel}`;
  }
  for (const [selector, name] of REGIONS) {
    const region = root.querySelector(selector);
    region?.setAttribute("role", "region");
    region?.setAttribute("aria-label", name);
  }
  // Each operation has a table of its responses, which Swagger UI calls a region.
  for (const table of root.querySelectorAll(".responses-table[role=region]")) {
    const { method, path } = operationOf(table);
    table.setAttribute("aria-label", `${method} ${path}: Responses · 响应`);
  }
  // A schema without a name opens by an arrow alone.
  for (const button of root.querySelectorAll(".json-schema-2020-12-accordion")) {
    if (button.textContent.trim()) button.removeAttribute("aria-label");
    else button.setAttribute("aria-label", "Schema · 模式");
  }
  // The label of the media types has the id that the list itself should have alone.
  for (const label of root.querySelectorAll(".opblock-section-header > label[id]")) {
    label.htmlFor = label.id;
    label.removeAttribute("id");
  }
  for (const cell of root.querySelectorAll("thead td")) cell.setAttribute("role", "columnheader");
  // Swagger UI leaves out the second level of headings.
  for (const heading of root.querySelectorAll("h3, h4, h5, h6")) {
    heading.setAttribute("aria-level", heading.localName[1] - 1);
  }
  for (const block of root.querySelectorAll("pre")) {
    const scrolls = block.scrollWidth > block.clientWidth || block.scrollHeight > block.clientHeight;
    if (scrolls && block.tabIndex < 0) block.tabIndex = 0;
  }
}

const shown = document.querySelector("#swagger-ui");
new MutationObserver(() => makeAccessible(shown)).observe(shown, { childList: true, subtree: true });

dark.addEventListener("change", followColourScheme);
followColourScheme();

window.ui = SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  plugins: [oneRowALine, namedMembers, withoutLinksInButtons],
  deepLinking: true,
  tryItOutEnabled: true,
  validatorUrl: null,
  syntaxHighlight: false,
  defaultModelsExpandDepth: 0,
  defaultModelExpandDepth: 2,
  displayRequestDuration: true,
});
