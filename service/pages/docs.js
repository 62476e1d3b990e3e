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

dark.addEventListener("change", followColourScheme);
followColourScheme();

window.ui = SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  plugins: [oneRowALine],
  deepLinking: true,
  tryItOutEnabled: true,
  validatorUrl: null,
  syntaxHighlight: false,
  defaultModelsExpandDepth: 0,
  defaultModelExpandDepth: 2,
  displayRequestDuration: true,
});
