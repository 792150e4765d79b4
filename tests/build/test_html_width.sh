#!/bin/sh
# test_html_width.sh - no page of `make html` is wider than a phone or a desk,
# as a browser lays it out.  Skipped without chromium.
for name in chromium chromium-browser google-chrome none; do
    command -v $name >/dev/null && break
done
[ $name != none ] || { echo "skipped: there is no chromium"; exit 77; }
. "$top_srcdir/tests/build/html.sh"

# A page that opens the others in frames, one after the other, and writes down
# how wide each would like to be.  The last one is too wide on purpose.
cd "$pages" || exit 1
echo '<!DOCTYPE html><p style="width: 2000px">wide</p>' >"$work/wide.html"
{
    echo '<!DOCTYPE html><pre id="report"></pre><script>'
    echo 'const jobs = [], report = document.getElementById("report");'
    for page in *.html ../wide.html; do
        echo "jobs.push(['$page', 390], ['$page', 1280]);"
    done
    cat <<'END'
const frame = document.body.appendChild(document.createElement("iframe"));
function next() {
    if (jobs.length === 0) {
        report.textContent += "end\n";
        return;
    }
    const [page, width] = jobs.shift();
    frame.style.width = width + "px";
    frame.style.border = 0;
    frame.onload = () => {
        const wide = frame.contentDocument.documentElement.scrollWidth;
        report.textContent += `${page} ${width} ${wide}\n`;
        next();
    };
    frame.src = page;
}
next();
</script>
END
} >"$work/measure"
mv "$work/measure" measure.html
timeout 120 $name --headless --no-sandbox --disable-gpu \
    --disable-background-networking --disable-component-update --disable-sync \
    --allow-file-access-from-files --user-data-dir="$work/browser" \
    --virtual-time-budget=100000 --dump-dom "file://$pages/measure.html" \
    2>/dev/null | awk 'NF == 3 && $2 ~ /^[0-9]+$/ { sub(/.*>/, "", $1); print }
        $1 == "end" { print }' >"$work/report"
grep -q '^end' "$work/report" ||
    { cat "$work/report"; echo "the browser did not measure all"; exit 1; }
awk '$3 > $2 { print $1 " is " $3 " wide where there is " $2 }' \
    "$work/report" >"$work/wide"
grep -q '^../wide.html' "$work/wide" || { echo "nothing is too wide"; exit 1; }
! grep -v '^../wide.html' "$work/wide"
