// Draws the particles of #view-data on #view-canvas. Particles are spheres drawn on squares that face the reader; which are
// shown, and in which colour, is decided on the GPU, so that a slider changes a number and nothing else.
import {
  BoxGeometry, Color, DataTexture, EdgesGeometry, InstancedBufferAttribute, InstancedBufferGeometry, LinearFilter,
  LineBasicMaterial, LineSegments, Mesh, PerspectiveCamera, PlaneGeometry, Scene, ShaderMaterial, WebGLRenderer,
} from "three";
import { OrbitControls } from "three-controls";

const part = (name) => document.getElementById(`view-${name}`);
const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
const floats = (text) => new Float32Array(bytes(text).buffer);

// Writes the unit of length between two texts.
function inSigma(element, before, after = "") {
  const index = document.createElement("sub");
  index.textContent = "AA";
  element.replaceChildren(before, "σ", index, after);
}

const VERTEX = `
attribute vec3 center;
attribute float radius, value, standing;
uniform float least, middle, half_width, edge;
varying vec2 corner;
varying vec3 seen;
varying float size, shade;
uniform vec2 span;
void main() {
  float away = abs(center.z + 0.5 * edge - middle);
  bool shown = standing >= least && min(away, edge - away) <= half_width;
  corner = position.xy;
  size = shown ? radius : 0.0;
  shade = clamp((value - span.x) / (span.y - span.x), 0.0, 1.0);
  seen = (modelViewMatrix * vec4(center, 1.0)).xyz;
  gl_Position = shown ? projectionMatrix * vec4(seen + vec3(size * corner, 0.0), 1.0) : vec4(2.0, 2.0, 2.0, 1.0);
}`;
const FRAGMENT = `
uniform sampler2D shades;
uniform mat4 projectionMatrix;
varying vec2 corner;
varying vec3 seen;
varying float size, shade;
void main() {
  float square = dot(corner, corner);
  if (square > 1.0) discard;
  vec3 normal = vec3(corner, sqrt(1.0 - square));
  float light = 0.5 + 0.5 * max(dot(normal, normalize(vec3(-0.4, 0.6, 1.0))), 0.0);
  light *= mix(1.0, 0.45, smoothstep(0.75, 1.0, square));
  gl_FragColor = vec4(light * texture2D(shades, vec2(shade, 0.5)).rgb, 1.0);
  vec4 place = projectionMatrix * vec4(seen + size * normal, 1.0);
  gl_FragDepth = 0.5 * place.z / place.w + 0.5;
}`;

function particles(data) {
  const centers = floats(data.positions);
  const kinds = bytes(data.kinds);
  // The box has its middle at the origin.
  centers.forEach((_, place) => { centers[place] -= data.box[place % 3] / 2; });
  const geometry = new InstancedBufferGeometry();
  const square = new PlaneGeometry(2, 2);
  geometry.index = square.index;
  geometry.setAttribute("position", square.getAttribute("position"));
  geometry.setAttribute("center", new InstancedBufferAttribute(centers, 3));
  const radii = Float32Array.from(kinds, (kind) => data.diameters[kind] / 2);
  geometry.setAttribute("radius", new InstancedBufferAttribute(radii, 1));
  for (const name of ["value", "standing"]) {
    geometry.setAttribute(name, new InstancedBufferAttribute(new Float32Array(kinds.length), 1));
  }
  geometry.instanceCount = kinds.length;
  const shades = new DataTexture(new Uint8Array(1024), 256, 1);
  shades.minFilter = shades.magFilter = LinearFilter;
  const uniforms = {
    least: { value: 0 }, middle: { value: 0 }, half_width: { value: 0 }, edge: { value: data.box[2] },
    span: { value: [0, 1] }, shades: { value: shades },
  };
  const mesh = new Mesh(geometry, new ShaderMaterial({ uniforms, vertexShader: VERTEX, fragmentShader: FRAGMENT }));
  mesh.frustumCulled = false;
  return { mesh, geometry, uniforms, centers, kinds };
}

function start(data) {
  const canvas = part("canvas");
  const renderer = new WebGLRenderer({ canvas, antialias: true, alpha: true });
  const camera = new PerspectiveCamera(30, 1, 0.1, 100 * Math.max(...data.box));
  const controls = new OrbitControls(camera, canvas);
  const scene = new Scene();
  const drawn = particles(data);
  const outline = new LineSegments(new EdgesGeometry(new BoxGeometry(...data.box)), new LineBasicMaterial());
  scene.add(drawn.mesh, outline);

  let waiting = false;
  const draw = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; renderer.render(scene, camera); });
  };

  function colour() {
    const name = document.querySelector("#view-controls input[name=colour]:checked").value;
    const chosen = data.colourings.find((one) => one.name === name);
    const { value, standing } = drawn.geometry.attributes;
    value.array.set(chosen.values ? floats(chosen.values) : drawn.kinds);
    standing.array.set(floats(data.standings[chosen.by]));
    value.needsUpdate = standing.needsUpdate = true;
    drawn.uniforms.span.value = chosen.span;
    drawn.uniforms.shades.value.image.data.set(bytes(chosen.shades));
    drawn.uniforms.shades.value.needsUpdate = true;
    part("scale").hidden = name === "species";
    part("species").hidden = name !== "species";
    if (chosen.bar) {
      inSigma(part("title"), `${chosen.title} [`, "]");
      part("bar").style.background = `linear-gradient(to right, ${chosen.bar.join(", ")})`;
      [part("low").textContent, part("high").textContent] = chosen.span.map((end) => end.toPrecision(3).replace("-", "−"));
    }
    part("by").textContent = `Most mobile: by ${chosen.by} propensity.`;
    choose();
  }

  function choose() {
    const share = Number(part("share").value);
    const thickness = Number(part("thickness").value);
    const middle = Number(part("centre").value);
    const uniforms = drawn.uniforms;
    // Rounded as the standings are, which have single precision.
    uniforms.least.value = Math.fround(1 - share / 100) - 1e-6;
    // The largest value of a slider is rounded: it means all.
    const whole = thickness > data.box[2] - 1e-3;
    uniforms.half_width.value = whole ? data.box[2] : thickness / 2;
    uniforms.middle.value = middle;
    part("share-value").textContent = share === 100 ? "all particles" : `${share} % of each species`;
    if (whole) part("thickness-value").textContent = "the whole box";
    else inSigma(part("thickness-value"), `${thickness.toFixed(1)} `);
    inSigma(part("centre-value"), `${middle.toFixed(1)} `);
    const standing = drawn.geometry.attributes.standing.array;
    let shown = 0;
    for (let i = 0; i < standing.length; i += 1) {
      const away = Math.abs(drawn.centers[3 * i + 2] + data.box[2] / 2 - middle);
      if (standing[i] >= uniforms.least.value && Math.min(away, data.box[2] - away) <= uniforms.half_width.value) shown += 1;
    }
    part("shown").textContent = `${shown.toLocaleString("en")} of ${standing.length.toLocaleString("en")} particles shown.`;
    draw();
  }

  function fit() {
    const { clientWidth: width, clientHeight: height } = canvas;
    if (!width || !height) return;
    renderer.setPixelRatio(Math.min(window.devicePixelRatio, 2));
    renderer.setSize(width, height, false);
    camera.aspect = width / height;
    camera.updateProjectionMatrix();
    draw();
  }

  function dress() {
    outline.material.color = new Color(getComputedStyle(canvas).color);
    draw();
  }

  // Far enough for the whole box, nearly whichever way it is turned, however narrow the page is.
  fit();
  const reach = 0.87 * Math.hypot(...data.box) / 2 / Math.sin((camera.fov * Math.PI) / 360) / Math.min(1, camera.aspect);
  camera.position.set(0.45, 0.35, 0.82).setLength(reach);
  controls.update();
  controls.saveState();
  controls.enablePan = false;
  // A wheel that only passes over the view scrolls the page.
  controls.enableZoom = false;
  canvas.addEventListener("focus", () => { controls.enableZoom = true; });
  canvas.addEventListener("blur", () => { controls.enableZoom = false; });
  canvas.addEventListener("keydown", (event) => {
    const turn = { ArrowLeft: [0.1, 0], ArrowRight: [-0.1, 0], ArrowUp: [0, 0.1], ArrowDown: [0, -0.1] }[event.key];
    if (!turn) return;
    event.preventDefault();
    controls.rotateLeft(turn[0]);
    controls.rotateUp(turn[1]);
  });
  controls.addEventListener("change", draw);
  part("reset").addEventListener("click", () => controls.reset());
  part("controls").addEventListener("submit", (event) => event.preventDefault());
  for (const input of part("controls").querySelectorAll("input")) {
    input.addEventListener("input", input.name === "colour" ? colour : choose);
  }
  new ResizeObserver(fit).observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", dress);
  colour();
  dress();
}

if (document.createElement("canvas").getContext("webgl2")) {
  for (const name of ["missing", "controls", "stage"]) part(name).hidden = name === "missing";
  start(JSON.parse(part("data").textContent));
}
