// Grafana's types of a dashboard, with those of the panels and queries that ours have.
import type * as grafana from '@grafana/schema';
import type { FieldConfig, Options } from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';
import type { Dataquery } from '@grafana/grafana-foundation-sdk/prometheus';

interface TimeSeries extends Omit<grafana.Panel, 'fieldConfig' | 'options' | 'targets'> {
    type: 'timeseries';
    options: Options;
    fieldConfig: grafana.FieldConfigSource<FieldConfig>;
    targets: Array<Omit<Dataquery, '_implementsDataqueryVariant'>>;
}

export interface Dashboard extends Omit<grafana.Dashboard, 'panels'> {
    panels: TimeSeries[];
}
