const words = { opening: 'Connecting', live: 'Live', lost: 'Connection lost, reconnecting' } as const;

/** Whether what the page shows is of now. */
export function Connection({ state }: { readonly state: keyof typeof words }) {
  return (
    <p class={`connection ${state}`} role="status">
      <span class="dot" aria-hidden="true" />
      {words[state]}
    </p>
  );
}
