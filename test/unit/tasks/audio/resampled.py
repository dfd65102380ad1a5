"""Writes resampled.json: sound at other rates, by scipy.signal.resample_poly."""
import numpy as np, json
from scipy.signal import resample_poly
out=[]
for rate,target,n in ((44100,16000,120),(8000,16000,50),(48000,16000,100),(22050,16000,60),(16000,8000,40),(11025,16000,23),(44100,48000,30)):
    x=np.array([np.sin(i*0.37)*0.6+np.cos(i*i*0.011)*0.3 for i in range(n)])
    g=np.gcd(rate,target)
    out.append({"rate":rate,"target":target,"samples":n,"resampled":[round(float(v),8) for v in resample_poly(x,target//g,rate//g)]})
print("["+",\n".join("  "+json.dumps(o) for o in out)+"]")
