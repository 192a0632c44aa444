/* Charts: any `[data-chart]` with a JSON of an ECharts option in the element that `data-chart` names. A table beside it tells the same. */
import * as echarts from "echarts/core";
import { BarChart, LineChart, ScatterChart, CustomChart } from "echarts/charts";
import { GridComponent, TooltipComponent, LegendComponent, DataZoomComponent, BrushComponent, MarkLineComponent } from "echarts/components";
import { CanvasRenderer } from "echarts/renderers";

echarts.use([BarChart, LineChart, ScatterChart, CustomChart, GridComponent, TooltipComponent, LegendComponent, DataZoomComponent, BrushComponent, MarkLineComponent, CanvasRenderer]);
window.echarts = echarts;

export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const draw = (node) => {
  if (echarts.getInstanceByDom(node)) return;
  const option = JSON.parse(document.getElementById(node.dataset.chart).textContent);
  /* "var(--name)" stands for a colour of the page. */
  const painted = JSON.parse(JSON.stringify(option), (_, value) => (typeof value === "string" && value.startsWith("var(--") ? colour(value.slice(4, -1)) : value));
  const chart = echarts.init(node);
  chart.setOption({ animation: false, textStyle: { fontFamily: "inherit", color: colour("--soft") }, ...painted, tooltip: painted.tooltip && { renderMode: "richText", ...painted.tooltip } });
  new ResizeObserver(() => chart.resize()).observe(node);
  node.dispatchEvent(new CustomEvent("khien:chart", { bubbles: true, detail: chart }));
};
const all = () => document.querySelectorAll("[data-chart]").forEach(draw);
all();
document.addEventListener("htmx:after:swap", all);
