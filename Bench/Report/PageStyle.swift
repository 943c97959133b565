// PageStyle: the style sheets of the page and of pictures; light and dark.
//
// Colours of the curves are those of M. Okabe and K. Ito, "Color Universal Design" (2008), which
// people who see fewer colours can tell apart; in the dark they are lighter.

enum PageStyle {
    private static let colours = """
        :root { color-scheme: light dark;
          --page: #fbfaf8; --card: #ffffff; --ink: #1c1d21; --soft: #5d6068; --rule: #e2dfd9;
          --warn: #8a3b00; --warnpage: #fff1e0;
          --c0: #0072b2; --c1: #d55e00; --c2: #00876b; --c3: #b3518a; --c4: #b98500;
          --c5: #3f94c8; }
        @media (prefers-color-scheme: dark) { :root {
          --page: #15171b; --card: #1d2026; --ink: #e8e7e3; --soft: #a3a6ae; --rule: #353941;
          --warn: #ffc68a; --warnpage: #3a2a18;
          --c0: #5cb8f0; --c1: #ff8f4a; --c2: #3ccfa8; --c3: #ea9acb; --c4: #edc04f;
          --c5: #9fd4f5; } }

        """

    /// Of what stands in a picture.
    private static let pictures = """
        svg { font: 12px system-ui, "Segoe UI", "Helvetica Neue", Arial, sans-serif; }
        svg text { fill: var(--ink); }
        svg .tick, svg .name { fill: var(--soft); }
        svg .end { text-anchor: end; } svg .middle { text-anchor: middle; }
        svg .heading { font-weight: 600; font-size: 13px; } svg .group { font-weight: 600; }
        svg .figure { font-variant-numeric: tabular-nums; }
        .grid { stroke: var(--rule); } .axis { stroke: var(--soft); }
        .reach { stroke: var(--ink); stroke-width: 1.5; }
        .curve { fill: none; stroke-width: 2; stroke-linejoin: round; }
        .dashed { stroke-dasharray: 7 4; }
        .dot { stroke: none; } .bar { opacity: .85; }
        .s0 { stroke: var(--c0); } .dot.s0, .f0 { fill: var(--c0); }
        .s1 { stroke: var(--c1); } .dot.s1, .f1 { fill: var(--c1); }
        .s2 { stroke: var(--c2); } .dot.s2, .f2 { fill: var(--c2); }
        .s3 { stroke: var(--c3); } .dot.s3, .f3 { fill: var(--c3); }
        .s4 { stroke: var(--c4); } .dot.s4, .f4 { fill: var(--c4); }
        .s5 { stroke: var(--c5); } .dot.s5, .f5 { fill: var(--c5); }

        """

    private static let texts = """
        * { box-sizing: border-box; }
        body { margin: 0; background: var(--page); color: var(--ink); overflow-wrap: anywhere;
          font: 16px/1.5 system-ui, "Segoe UI", "Helvetica Neue", Arial, sans-serif; }
        main { max-width: 940px; margin: 0 auto; padding: 24px 16px 64px; }
        h1 { font-size: 28px; line-height: 1.2; margin: 8px 0 4px; }
        h2 { font-size: 21px; margin: 48px 0 8px; padding-top: 16px;
          border-top: 1px solid var(--rule); }
        h3 { font-size: 16px; margin: 24px 0 6px; }
        p { margin: 6px 0; } .soft, figcaption { color: var(--soft); font-size: 14px; }
        .warning { background: var(--warnpage); color: var(--warn); padding: 8px 12px;
          border-radius: 6px; font-size: 14px; }
        figure { margin: 8px 0; background: var(--card); border: 1px solid var(--rule);
          border-radius: 8px; padding: 12px; }
        figure svg { display: block; max-width: 100%; height: auto; }
        .narrow { display: none; }
        @media (max-width: 720px) { .wide { display: none; } .narrow { display: block; }
          main { padding: 12px 10px 40px; } h1 { font-size: 23px; } figure { padding: 8px; } }
        .scroll { overflow-x: auto; margin: 8px 0; }
        table { border-collapse: collapse; font-size: 14px; min-width: 60%;
          font-variant-numeric: tabular-nums; }
        th, td { padding: 4px 10px; text-align: right; border-bottom: 1px solid var(--rule);
          white-space: nowrap; }
        th { color: var(--soft); font-weight: 500; }
        th:first-child, td:first-child { text-align: left; padding-left: 0; }
        .facts { width: 100%; }
        .facts td { text-align: left; white-space: normal; overflow-wrap: anywhere; }
        .facts td:first-child { color: var(--soft); width: 180px; vertical-align: top; }
        summary { cursor: pointer; color: var(--soft); font-size: 14px; }
        code { font: 13px/1.5 ui-monospace, "DejaVu Sans Mono", Menlo, monospace; }
        @media (max-width: 720px) { .facts td:first-child { width: 110px; } }

        """

    static let page = colours + pictures + texts
    /// A picture on its own paints its ground.
    static let picture = colours + pictures + "svg { background: var(--card); }\n"
}
