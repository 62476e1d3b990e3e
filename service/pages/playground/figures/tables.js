// The numbers of each stage as CSV, Markdown and LaTeX, with every digit.
import { STAGES } from "../maps/pipeline.js";
import { t } from "../words/i18n.js";
import { namesOf } from "../words/names.js";

const AXES = { scores: "key", mask: "key", weights: "key", output: "value" };

// Returns {stage, title, rows, columns, numbers} of the stages that there are; the mask has 1 for a visible key.
export function tablesOf(what, { numbers, view }) {
  const mask = numbers.logits.map((row) => row.map((logit) => (logit === -Infinity ? 0 : 1)));
  const matrices = { ...numbers, mask };
  return STAGES.filter((stage) => [stage, "figure"].includes(what) && matrices[stage]).map((stage) => ({
    stage,
    title: t(`stage.${stage}`),
    numbers: matrices[stage],
    rows: namesOf(view, "query", matrices[stage].length),
    columns: namesOf(view, AXES[stage], matrices[stage][0].length),
  }));
}

const WORDS = new Map([
  [Infinity, "inf"],
  [-Infinity, "-inf"],
]);

const plain = (number) => WORDS.get(number) ?? (Number.isNaN(number) ? "nan" : String(number));

const quoted = (text) => (/[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

const csvLine = (fields) => `${fields.map(quoted).join(",")}\r\n`;

// Several stages have different columns: they stand one number in a line.
export function csv(tables) {
  if (tables.length === 1) {
    const [{ rows, columns, numbers }] = tables;
    return [["", ...columns], ...numbers.map((row, at) => [rows[at], ...row.map(plain)])].map(csvLine).join("");
  }
  const lines = tables.flatMap(({ stage, rows, columns, numbers }) =>
    numbers.flatMap((row, at) => row.map((number, column) => [stage, rows[at], columns[column], plain(number)])),
  );
  return [["stage", "query", "column", "number"], ...lines].map(csvLine).join("");
}

const inMarkdown = (text) => text.replace(/\s+/g, " ").replace(/[\\`*_{}[\]<>#|~$&!]/g, "\\$&");

export function markdown(tables) {
  return tables
    .map(({ title, rows, columns, numbers }) => {
      const lines = [
        ["", ...columns.map(inMarkdown)],
        ["---", ...columns.map(() => "---:")],
        ...numbers.map((row, at) => [inMarkdown(rows[at]), ...row.map(plain)]),
      ];
      return `**${inMarkdown(title)}**\n\n${lines.map((fields) => `| ${fields.join(" | ")} |`).join("\n")}\n`;
    })
    .join("\n");
}

const SPELT = {
  "\\": "\\textbackslash{}",
  "^": "\\textasciicircum{}",
  "~": "\\textasciitilde{}",
  "<": "\\textless{}",
  ">": "\\textgreater{}",
  "|": "\\textbar{}",
};

// Behind the end of a row a bracket or an asterisk would be read as its argument.
const inLatex = (text) =>
  text
    .replace(/\s+/g, " ")
    .replace(/[\\^~<>|{}$&#%_]/g, (sign) => SPELT[sign] ?? `\\${sign}`)
    .replace(/^(?=[[*])/, "{}");

function latexNumber(number) {
  if (Number.isNaN(number)) return "NaN";
  if (!Number.isFinite(number)) return number > 0 ? "$\\infty$" : "$-\\infty$";
  const [mantissa, exponent] = String(number).split("e");
  return exponent ? `$${mantissa} \\times 10^{${Number(exponent)}}$` : `$${mantissa}$`;
}

function latexTable({ title, rows, columns, numbers }) {
  const lines = numbers.map((row, at) => [inLatex(rows[at]), ...row.map(latexNumber)]);
  const rowOf = (fields) => `    ${fields.join(" & ")} \\\\`;
  return [
    "\\begin{table}",
    "  \\centering",
    `  \\caption{${inLatex(title)}}`,
    `  \\begin{tabular}{l${"r".repeat(columns.length)}}`,
    "    \\toprule",
    rowOf(["", ...columns.map(inLatex)]),
    "    \\midrule",
    ...lines.map(rowOf),
    "    \\bottomrule",
    "  \\end{tabular}",
    "\\end{table}",
    "",
  ].join("\n");
}

const packages = (name) => ({ packages: `\\usepackage{${name}}` });

export function latex(tables) {
  const text = tables.map(latexTable).join("\n");
  const engine = /[^\u0000-\u00ff]/.test(text) ? [t("figure.latex_engine", packages("ctex"))] : [];
  const notes = [t("figure.latex_packages", packages("booktabs")), ...engine];
  return `${notes.map((note) => `% ${note}\n`).join("")}${text}`;
}
