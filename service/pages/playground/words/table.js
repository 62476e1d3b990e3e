// The view of plain tables.
export const TABLE = {
  en: {
    "view.table": "Table",
    "view.table_title": "The numbers as plain tables, with every digit",
  },
  zh: {
    "view.table": "表格",
    "view.table_title": "普通表格，保留每一位数字",
  },
};
