import { useApp } from '../ui/app.ts';

export function DeviceSelect(props: {
  /** Of the label's control; without one it is named here. */
  id?: string;
  devices: readonly MediaDeviceInfo[];
  deviceId: string;
  disabled?: boolean;
  onDevice: (deviceId: string) => void;
}) {
  const t = useApp().t.value;
  return (
    <select
      data-testid="try-device"
      id={props.id}
      aria-label={props.id === undefined ? t('try.device') : undefined}
      disabled={props.disabled}
      value={props.deviceId}
      onChange={(e) => props.onDevice(e.currentTarget.value)}
    >
      <option value="">{t('try.device.default')}</option>
      {props.devices
        .filter((d) => d.deviceId !== 'default')
        .map((d, i) => (
          <option key={d.deviceId} value={d.deviceId}>
            {d.label || t('try.device.nameless', { n: i + 1 })}
          </option>
        ))}
    </select>
  );
}
