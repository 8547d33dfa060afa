import { render } from 'preact';
import { Console } from './console.js';
import 'uplot/dist/uPlot.min.css';
import './console.css';

const place = document.getElementById('console');
if (place) render(<Console />, place);
