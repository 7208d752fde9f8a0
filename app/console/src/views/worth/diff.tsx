/** Settings before and after. */
import type { Difference } from "../../lib/worth";

export function Diff({ changes }: { changes: readonly Difference[] }) {
  return (
    <table class="worth-diff">
      <thead>
        <tr>
          <th scope="col">setting</th>
          <th scope="col">now</th>
          <th scope="col">then</th>
        </tr>
      </thead>
      <tbody>
        {changes.map((each) => (
          <tr key={each.name}>
            <th scope="row">
              <code>{each.name}</code>
            </th>
            <td>
              <del>{each.before}</del>
            </td>
            <td>
              <ins>{each.after}</ins>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
